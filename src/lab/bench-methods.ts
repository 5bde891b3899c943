import { countBlocks, type PlanSetting } from '../cache/plan.ts';
import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { deltaCache, featureCache } from '../cache/policies/span-cache.ts';
import type { CachePolicy } from '../cache/policy.ts';
import { defaultCachedBlocks, FEW_STEPS } from '../cache/stage-planner.ts';
import type { SamplerName } from '../schedulers/samplers.ts';

/** A way to sample: a number of steps, with a cache or without. */
export interface SamplingMethod {
  /** Shown in tables. */
  readonly name: string;
  readonly numInferenceSteps: number;
  readonly cache?: CachePolicy | undefined;
  /** Default: that of the comparison. */
  readonly sampler?: SamplerName | undefined;
}

/** Sampling without a cache. */
export function uncachedSteps(numInferenceSteps: number): SamplingMethod {
  return { name: `${numInferenceSteps} steps`, numInferenceSteps };
}

/**
 * What the paper sets against the uncached model (arXiv 2406.01125, Tables 2 to 4): Δ-DiT, for few steps with both of the
 * N_c of Table 3, Δ-Cache on one region, the feature cache, and fewer uncached steps. Those cost as much as Δ-DiT where
 * its cost is a whole number of steps; else there is one row just above it (13 for the paper's 20 / 1.6 = 12.5, as in its
 * tables) and one just below.
 */
export function paperMethods(setting: PlanSetting): readonly SamplingMethod[] {
  const { numInferenceSteps, depth } = setting;
  const caches = [
    deltaCache({ region: 'front' }),
    deltaCache({ region: 'middle' }),
    deltaCache({ region: 'rear' }),
    featureCache({ region: 'front' }),
    featureCache({ region: 'rear' }),
  ];
  const fullSteps = countBlocks(deltaDiT().plan(setting)).computed / depth;
  const fewer = [...new Set([Math.ceil(fullSteps), Math.floor(fullSteps)])];
  return [
    ...deltaDiTs(setting),
    ...caches.map((cache) => ({ name: cache.name, numInferenceSteps, cache })),
    ...fewer.filter((steps) => steps < numInferenceSteps).map(uncachedSteps),
  ];
}

/** Δ-DiT by default, and at few steps, T ≤ 8, the milder row of Table 3, too: N_c = 4 of 28 beside 6. */
function deltaDiTs({ numInferenceSteps, depth }: PlanSetting): readonly SamplingMethod[] {
  const cachedBlocks = defaultCachedBlocks(numInferenceSteps, depth);
  const milder = Math.round((4 * depth) / 28);
  const cache = deltaDiT();
  if (numInferenceSteps > FEW_STEPS || milder === 0 || milder === cachedBlocks)
    return [{ name: cache.name, numInferenceSteps, cache }];
  return [cachedBlocks, milder].map((blocks) => ({
    name: `${cache.name}, ${blocks} blocks`,
    numInferenceSteps,
    cache: deltaDiT({ cachedBlocks: blocks }),
  }));
}
