import { ADA_CACHE_CODEBOOKS, adaCache, type CodebookName } from '../cache/policies/ada-cache.ts';
import { type AdaptiveDeltaOptions, adaptiveDelta } from '../cache/policies/adaptive-delta.ts';
import { dbCache } from '../cache/policies/db-cache.ts';
import { dbPrune } from '../cache/policies/db-prune.ts';
import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { easyCache } from '../cache/policies/easy-cache.ts';
import { fasterDiffusion } from '../cache/policies/faster-diffusion.ts';
import { firstBlockCache } from '../cache/policies/first-block-cache.ts';
import { fora } from '../cache/policies/fora.ts';
import { forecast } from '../cache/policies/forecast.ts';
import { pyramidAttentionBroadcast } from '../cache/policies/pyramid-attention-broadcast.ts';
import { deltaCache, featureCache, type Region, type SpanCacheOptions } from '../cache/policies/span-cache.ts';
import { speCa } from '../cache/policies/spe-ca.ts';
import { taylorSeer } from '../cache/policies/taylor-seer.ts';
import { teaCache } from '../cache/policies/tea-cache.ts';
import type { CachePolicy } from '../cache/policy.ts';
import { parsePredictor } from '../cache/predictors/named.ts';
import type { PredictorSpec } from '../cache/predictors/predictor.ts';
import { OptionError } from '../errors.ts';
import type { BranchName } from '../models/block.ts';

/** The methods that `--cache` takes by name, and the types of their options: a line each. */

/** Reads an option's value. @throws OptionError naming the option */
type Reader<T> = (text: string, option: string) => T;

export const number: Reader<number> = (text, option) => {
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

/** A method by name. */
export interface NamedMethod {
  readonly options: readonly string[];
  readonly make: (texts: ReadonlyMap<string, string>) => CachePolicy;
}

/** @param readers one for each option of the method */
function method<O extends object>(
  make: (options: O) => CachePolicy,
  readers: { readonly [Option in keyof Required<O>]: Reader<Required<O>[Option]> },
): NamedMethod {
  const readerOf = new Map(Object.entries(readers) as [string, Reader<unknown>][]);
  return {
    options: [...readerOf.keys()],
    make: (texts) => {
      const read = [...texts].map(([option, text]) => [option, readerOf.get(option)?.(text, option)]);
      return make(Object.fromEntries(read) as O);
    },
  };
}

const yesOrNo: Reader<boolean> = (text, option) => oneOf('true', 'false')(text, option) === 'true';

const branch = oneOf<BranchName>('self', 'cross', 'mlp');
const branches: Reader<readonly BranchName[]> = (text, option) => text.split('+').map((name) => branch(name, option));

const REGIONS: readonly Region[] = ['front', 'middle', 'rear'];
const DELTA_DIT = { interval: number, cachedBlocks: number, budget: number, stageBound: number, predictor };
const OFFSETS = { frontOffset: number, rearOffset: number };
const SPAN = { interval: number, cachedBlocks: number, offset: number, predictor };
const PAB_ATTENTION = { selfRange: number, crossRange: number, minTimestep: number, maxTimestep: number };
const PAB_MLP = { mlpTimesteps: numbers, mlpSkip: number, mlpBlocks: numbers };

/** Of a method that decides by rows. */
const HALVES = { halves: oneOf('apart', 'together') };
const DB_CACHE = {
  threshold: number,
  firstBlocks: number,
  lastBlocks: number,
  warmUpSteps: number,
  predictor,
  ...HALVES,
};
const DB_PRUNE = { threshold: number, firstBlocks: number, lastBlocks: number, warmUpSteps: number, ...HALVES };
const DB_PRUNE_TUNING = { alwaysComputed: numbers, tunesItself: yesOrNo, relaxation: number, maxThreshold: number };
const SPECA = { order: number, baseThreshold: number, decay: number, warmUpSteps: number };
const codebook = oneOf(...(Object.keys(ADA_CACHE_CODEBOOKS) as CodebookName[]));

const inRegion = (make: (options: SpanCacheOptions) => CachePolicy, region: Region) =>
  method((options: Omit<SpanCacheOptions, 'region'>) => make({ region, ...options }), SPAN);

const ADAPTIVE = { tolerance: number, cachedBlocks: number, maxInterval: number, predictor };
const adaptiveIn = (region: Region) =>
  method((options: Omit<AdaptiveDeltaOptions, 'region'>) => adaptiveDelta({ region, ...options }), ADAPTIVE);

/** What `--cache` takes by name. */
export const METHODS: ReadonlyMap<string, NamedMethod> = new Map([
  ['delta-dit', method(deltaDiT, { ...DELTA_DIT, ...OFFSETS })],
  ['forecast', method(forecast, { interval: number, predictor, keeps: oneOf('output', 'x0') })],
  ...REGIONS.map((region) => [`delta-cache-${region}`, inRegion(deltaCache, region)] as const),
  ...REGIONS.map((region) => [`feature-cache-${region}`, inRegion(featureCache, region)] as const),
  ...REGIONS.map((region) => [`adaptive-delta-${region}`, adaptiveIn(region)] as const),
  ['faster-diffusion', method(fasterDiffusion, { keySteps: numbers, interval: number, cachedBlocks: number })],
  ['fora', method(fora, { interval: number, predictor, branches })],
  ['taylorseer', method(taylorSeer, { interval: number, order: number, warmUp: number, predictor })],
  ['pab', method(pyramidAttentionBroadcast, { ...PAB_ATTENTION, ...PAB_MLP })],
  ['teacache', method(teaCache, { threshold: number, coefficients: numbers, ...HALVES })],
  ['first-block-cache', method(firstBlockCache, { threshold: number, warmUpSteps: number, predictor, ...HALVES })],
  ['dbcache', method(dbCache, { ...DB_CACHE, maxCachedSteps: number, maxConsecutive: number })],
  ['dbprune', method(dbPrune, { ...DB_PRUNE, ...DB_PRUNE_TUNING })],
  ['easycache', method(easyCache, { threshold: number, warmUpSteps: number })],
  ['adacache', method(adaCache, { codebook, watchedBlock: number, ...HALVES })],
  ['speca', method(speCa, { ...SPECA, ...HALVES, minPredictions: number, maxPredictions: number })],
]);
