import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { quoted } from '../checkpoint/quoted.ts';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
import { FileError, FormatError, OptionError, SAMPLER_NAMES } from '../index.ts';
import { packageVersion } from './package-folder.ts';
import { readPngText } from './png-text.ts';
import { MAX_PICTURES } from './seeds.ts';

/** The keyword of the JSON that holds every setting of a picture. */
export const SETTINGS_KEYWORD = 'delta-dit';

/** Raised when a reader of today could not repeat a picture from what is written. */
const FORMAT = 1;

const whole = z.number().int().nonnegative();
const size = z.number().int().positive();
/** Shown in messages, so that nothing in a file of a stranger may steer the terminal. */
const text = z.string().regex(/^\P{Cc}+$/u, 'expected text without control characters');

const SETTINGS = z.object({
  format: z.literal(FORMAT),
  /** Of the delta-dit that made the picture. */
  version: text,
  /** As given, and what a weights file does not say of itself. */
  model: text,
  vae: text.optional(),
  vaeScalingFactor: z.number().positive().optional(),
  vaeNormGroups: size.optional(),
  labels: text.optional(),
  numHeads: size.optional(),
  inputSize: size.optional(),
  key: text.optional(),
  /** Of the weights' files, where the checkpoint states them. */
  sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
  numerics: z.enum(['original', 'diffusers']),
  /** Rows of the picture, as given; and their numbers. */
  classes: z.array(text).min(1).max(MAX_PICTURES),
  classLabels: z.array(whole),
  /** Columns of the picture. */
  seeds: z.array(whole).min(1).max(MAX_PICTURES),
  numInferenceSteps: size,
  guidanceScale: z.number(),
  sampler: z.enum(SAMPLER_NAMES),
  eta: z.number(),
  /** As `--cache` takes it; null without. */
  cache: text.nullable(),
  cacheOptions: z.array(text),
  /** Whether the picture is a sheet of uncached and cached. */
  compare: z.boolean(),
  /** Pictures that ran through the model together. */
  batchSize: size,
  /** Of one picture, in pixels. */
  width: size,
  height: size,
  backend: text,
  dtype: z.literal('float32'),
  rng: z.literal('torch-cpu'),
});

/** Everything that repeats a picture. */
export type StoredSettings = z.infer<typeof SETTINGS>;

type Fixed = 'format' | 'version' | 'dtype' | 'rng';

/** Settings as this delta-dit writes them. */
export function settingsOfFormat(settings: Omit<StoredSettings, Fixed>): StoredSettings {
  return { format: FORMAT, version: packageVersion(), ...settings, dtype: 'float32', rng: 'torch-cpu' };
}

/**
 * The settings in a picture that `generate` wrote.
 * @throws FileError when it cannot be read; FormatError when it is no PNG, or its settings are damaged; OptionError when
 * it carries none, or those of a newer delta-dit.
 */
export async function readSettings(path: string): Promise<StoredSettings> {
  const bytes = await readFile(path).catch((cause: Error) => {
    throw new FileError(`--from-image ${path}: could not be read (${cause.message}); give the path of a PNG file`, {
      cause,
    });
  });
  const json = readPngText(path, bytes).get(SETTINGS_KEYWORD);
  if (json !== undefined) return parseSettings(path, json);
  throw new OptionError(
    `${path}: carries no settings of delta-dit; it was made with --no-metadata or by another program, or a program that saved it again left them out. Give the options themselves`,
  );
}

/** @throws FormatError or OptionError as `readSettings`. */
export function parseSettings(path: string, json: string): StoredSettings {
  const where = `${path}: its settings`;
  const { format, version, ...rest } = parseStrictJson(where, json);
  if (typeof format === 'number' && format > FORMAT) {
    throw new OptionError(
      `${where} are of format ${format}, written by delta-dit ${quoted(version)}; this is ${packageVersion()}, which reads format ${FORMAT}. Update delta-dit`,
    );
  }
  const parsed = SETTINGS.safeParse({ format, version, ...rest });
  if (parsed.success) return parsed.data;
  throw new FormatError(
    `${where} are damaged, or of a version that was never released; give the options themselves\n${z.prettifyError(parsed.error)}`,
  );
}
