import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { fasterDiffusion } from '../cache/policies/faster-diffusion.ts';
import { fora } from '../cache/policies/fora.ts';
import { forecast } from '../cache/policies/forecast.ts';
import { pyramidAttentionBroadcast } from '../cache/policies/pyramid-attention-broadcast.ts';
import { deltaCache, featureCache, type Region, type SpanCacheOptions } from '../cache/policies/span-cache.ts';
import { taylorSeer } from '../cache/policies/taylor-seer.ts';
import type { CachePolicy } from '../cache/policy.ts';
import { parsePredictor } from '../cache/predictors/named.ts';
import type { PredictorSpec } from '../cache/predictors/predictor.ts';
import { OptionError } from '../errors.ts';
import { isCacheFile, readCacheFile } from './cache-file.ts';

/** Reads an option's value. @throws OptionError naming the option */
type Reader<T> = (text: string, option: string) => T;

const number: Reader<number> = (text, option) => {
  if (text === '' || !Number.isFinite(Number(text)))
    throw new OptionError(`--cache-option ${option}: expected a number, got ${JSON.stringify(text)}`);
  return Number(text);
};
/** A comma would end the option. */
const numbers: Reader<readonly number[]> = (text, option) => text.split('+').map((one) => number(one.trim(), option));
const predictor: Reader<PredictorSpec> = (text) => parsePredictor(text);

function oneOf<T extends string>(...names: readonly T[]): Reader<T> {
  return (text, option) => {
    const name = names.find((one) => one === text);
    if (name === undefined)
      throw new OptionError(`--cache-option ${option}: expected ${names.join(' or ')}, got ${JSON.stringify(text)}`);
    return name;
  };
}

interface Method {
  readonly options: readonly string[];
  readonly make: (texts: ReadonlyMap<string, string>) => CachePolicy;
}

/** @param readers one for each option of the method */
function method<O extends object>(
  make: (options: O) => CachePolicy,
  readers: { readonly [Option in keyof Required<O>]: Reader<Required<O>[Option]> },
): Method {
  const readerOf = new Map(Object.entries(readers) as [string, Reader<unknown>][]);
  return {
    options: [...readerOf.keys()],
    make: (texts) => {
      const read = [...texts].map(([option, text]) => [option, readerOf.get(option)?.(text, option)]);
      return make(Object.fromEntries(read) as O);
    },
  };
}

const REGIONS: readonly Region[] = ['front', 'middle', 'rear'];
const DELTA_DIT = { interval: number, cachedBlocks: number, budget: number, stageBound: number, predictor };
const OFFSETS = { frontOffset: number, rearOffset: number };
const SPAN = { interval: number, cachedBlocks: number, offset: number, predictor };
const PAB_ATTENTION = { selfRange: number, crossRange: number, minTimestep: number, maxTimestep: number };
const PAB_MLP = { mlpTimesteps: numbers, mlpSkip: number, mlpBlocks: numbers };

const inRegion = (make: (options: SpanCacheOptions) => CachePolicy, region: Region) =>
  method((options: Omit<SpanCacheOptions, 'region'>) => make({ region, ...options }), SPAN);

/** What `--cache` takes by name. */
const METHODS: ReadonlyMap<string, Method> = new Map([
  ['delta-dit', method(deltaDiT, { ...DELTA_DIT, ...OFFSETS })],
  ['forecast', method(forecast, { interval: number, predictor, keeps: oneOf('output', 'x0') })],
  ...REGIONS.map((region) => [`delta-cache-${region}`, inRegion(deltaCache, region)] as const),
  ...REGIONS.map((region) => [`feature-cache-${region}`, inRegion(featureCache, region)] as const),
  ['faster-diffusion', method(fasterDiffusion, { keySteps: numbers, interval: number, cachedBlocks: number })],
  ['fora', method(fora, { interval: number, predictor })],
  ['taylorseer', method(taylorSeer, { interval: number, order: number, warmUp: number, predictor })],
  ['pab', method(pyramidAttentionBroadcast, { ...PAB_ATTENTION, ...PAB_MLP })],
]);

/** What `--cache` takes besides `none`. */
export const CACHE_NAMES: readonly string[] = [...METHODS.keys()];

/**
 * `--cache name` with `--cache-option k=v,…`, numbers of a list joined by `+`; or `--cache file`, see `readCacheFile`.
 * @returns undefined for `none`
 * @throws OptionError naming the methods, or the options of the method, that exist; FileError or FormatError for a file
 */
export async function cachePolicy(
  name: string | undefined,
  pairs: readonly string[],
): Promise<CachePolicy | undefined> {
  if (name === undefined || name === 'none') {
    if (pairs.length > 0) throw new OptionError(`--cache-option ${pairs.join(',')}: needs --cache with a method`);
    return undefined;
  }
  if (isCacheFile(name)) {
    const threshold = optionsOf(name, ['threshold'], pairs).get('threshold');
    return readCacheFile(name, threshold === undefined ? undefined : number(threshold, 'threshold'));
  }
  const named = METHODS.get(name);
  if (!named) {
    throw new OptionError(
      `--cache: expected none, auto, ${CACHE_NAMES.join(', ')}, or a file (.json, .pt, .pth); got ${JSON.stringify(name)}`,
    );
  }
  return named.make(optionsOf(name, named.options, pairs));
}

/** As `cachePolicy`, or the plan that the checkpoint carries. */
export async function wantedCache(
  name: string | undefined,
  pairs: readonly string[],
): Promise<CachePolicy | 'auto' | undefined> {
  if (name !== 'auto') return cachePolicy(name, pairs);
  if (pairs.length > 0) throw new OptionError(`--cache-option ${pairs.join(',')}: --cache auto takes none`);
  return name;
}

function optionsOf(name: string, known: readonly string[], pairs: readonly string[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const pair of pairs.flatMap((list) => list.split(','))) {
    const [option = '', value = ''] = pair.split('=').map((part) => part.trim());
    if (!known.includes(option))
      throw new OptionError(`--cache-option: ${name} takes ${known.join(', ')}; got ${JSON.stringify(option)}`);
    texts.set(option, value);
  }
  return texts;
}
