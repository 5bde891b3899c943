import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
import {
  type CachePolicy,
  DeltaDiTError,
  FileError,
  FormatError,
  isStatic,
  type LabMethod,
  laidSampling,
  OptionError,
  type Painter,
  SAMPLER_NAMES,
  type SamplerName,
} from '../index.ts';
import { isCacheFile } from './cache-file.ts';
import { cachePolicy } from './cache-options.ts';

const OPTION = z.union([z.number(), z.boolean(), z.string(), z.array(z.number()).min(1)]);

const METHOD = z
  .strictObject({
    /** Shown in tables. */
    name: z.string().min(1).max(120).optional(),
    /** As `--cache`; a file is looked for beside the grid. */
    cache: z.string().optional(),
    /** As `--cache-option`. */
    options: z.record(z.string(), OPTION).optional(),
    sampler: z.enum(SAMPLER_NAMES).optional(),
    steps: z.number().int().positive().optional(),
    timesteps: z.array(z.number().int()).min(1).optional(),
  })
  .refine(({ steps, timesteps }) => steps === undefined || timesteps === undefined, {
    error: 'steps and timesteps: expected one of the two, got both',
  });

const GRID = z.strictObject({ methods: z.array(METHOD).min(1) });
type WrittenMethod = z.infer<typeof METHOD>;

/** Where a method of the file leaves something open. */
export interface GridDefaults {
  readonly sampler: SamplerName;
  readonly numInferenceSteps: number;
}

/**
 * Methods of one's own: `{"methods": [{"cache": "delta-dit", "options": {"interval": 3}, "sampler": "unipc", "steps": 30}]}`.
 * Sampler and steps that are left open are those of a plan, else the laboratory's.
 * @throws FileError, FormatError; OptionError for a method, an option or a plan that does not fit, saying which
 */
export async function readGridFile(
  path: string,
  { pipe }: Painter,
  defaults: GridDefaults,
): Promise<readonly LabMethod[]> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new FileError(`--grid ${path}: could not be read (${cause.message}); give a file that is there`, { cause });
  });
  const parsed = GRID.safeParse(parseStrictJson(path, text));
  if (!parsed.success) throw new FormatError(`${path}: no grid of methods\n${z.prettifyError(parsed.error)}`);
  const methods: LabMethod[] = [];
  for (const [i, written] of parsed.data.methods.entries()) {
    const method = await methodOf(written, dirname(path), pipe, defaults).catch((error: unknown) => {
      if (!(error instanceof DeltaDiTError)) throw error;
      throw new OptionError(`${path}: method ${i + 1}: ${error.message}`, { cause: error });
    });
    const twin = methods.findIndex(({ name }) => name === method.name);
    if (twin !== -1)
      throw new OptionError(
        `${path}: methods ${twin + 1} and ${i + 1} are both called ${JSON.stringify(method.name)}; name one of them`,
      );
    methods.push(method);
  }
  return methods;
}

async function methodOf(
  { name, cache: cacheName, options = {}, steps, timesteps, sampler }: WrittenMethod,
  folder: string,
  pipe: Painter['pipe'],
  defaults: GridDefaults,
): Promise<LabMethod> {
  const pairs = Object.entries(options).map(([option, value]) => `${option}=${[value].flat().join('+')}`);
  const file = cacheName !== undefined && isCacheFile(cacheName);
  const cache = await cachePolicy(file ? resolve(folder, cacheName) : cacheName, pairs);
  const sampling = samplingFor(pipe, { cache, sampler, numInferenceSteps: steps, timesteps }, defaults);
  const what = [...(cacheName === undefined ? [] : [cacheName]), ...pairs].join(' ');
  const shown = `${what === '' ? '' : `${what}, `}${sampling.sampler}, ${sampling.numInferenceSteps} ${timesteps ? 'timesteps' : 'steps'}`;
  const family = cache?.name ?? (timesteps ? `${sampling.sampler}, placed steps` : sampling.sampler);
  return { name: name ?? shown, family, ...sampling, cache };
}

interface WantedSampling {
  readonly cache: CachePolicy | undefined;
  readonly sampler: SamplerName | undefined;
  readonly numInferenceSteps: number | undefined;
  readonly timesteps: readonly number[] | undefined;
}

/** What is left open filled in; the model is asked, so that what it cannot run is refused. */
function samplingFor(pipe: Painter['pipe'], wanted: WantedSampling, defaults: GridDefaults) {
  const { cache, timesteps } = wanted;
  const { sampler: own, numInferenceSteps: count } = (cache && isStatic(cache) && cache.madeFor) || {};
  const made = SAMPLER_NAMES.find((name) => name === own);
  const sampler = wanted.sampler ?? made ?? defaults.sampler;
  const numInferenceSteps = wanted.numInferenceSteps ?? count ?? defaults.numInferenceSteps;
  const left = timesteps ?? wanted.numInferenceSteps ?? count;
  const given = left === undefined ? { numInferenceSteps } : { numInferenceSteps: wanted.numInferenceSteps, timesteps };
  const laid = laidSampling(pipe, { cache, sampler, ...given });
  return { sampler, numInferenceSteps: laid.count, ...('timesteps' in laid.steps && laid.steps) };
}
