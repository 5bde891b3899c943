import { type CachePlan, countBlocks } from '../cache/plan.ts';
import type { CacheCounts } from '../cache/run-cache.ts';
import { addsNoise, type SamplerName } from '../schedulers/samplers.ts';
import type { CheckedRun } from './run-options.ts';

/** What a caller should know of settings that work but disappoint together. */
export function settingWarnings(
  cache: string | null,
  plan: CachePlan | null,
  sampler: SamplerName,
  eta: number,
): string[] {
  if (sampler === 'lcm' || sampler === 'lcm-original') return []; // few steps and large: the paper caches there, too
  const reusesNothing = plan !== null && countBlocks(plan).reused === 0;
  if (cache === null || reusesNothing || !addsNoise(sampler, eta)) return [];
  const name = eta > 0 ? `${sampler} with eta ${eta}` : sampler;
  return [
    `cache ${cache} under ${name}: the fresh noise of each step is not in what was kept of the step before, so the ` +
      'picture differs more from the uncached one than under a sampler that adds none (ddim with eta 0, dpm-solver++)',
  ];
}

/** Of fewer decisions all may well fall alike. */
const ENOUGH_DECISIONS = 3;

/**
 * What a caller should know of a cache method that decides as it runs: that its warm-up leaves nothing to decide, or once
 * the run is made (`counts`) that all decisions fell alike.
 */
export function decisionWarnings(
  {
    cache,
    mayReuse,
    sampler,
  }: Pick<CheckedRun, 'cache' | 'mayReuse'> & { sampler: Pick<CheckedRun['sampler'], 'timesteps'> },
  counts?: Pick<CacheCounts, 'stepBlocks' | 'blocksReused'>,
): string[] {
  if (!mayReuse) return [];
  const steps = sampler.timesteps.length;
  if (mayReuse.length === 0) {
    return [
      `cache ${cache}: nothing is cached in ${steps} ${steps === 1 ? 'step' : 'steps'}, which its warm-up and the steps that it always computes take up; lower warmUpSteps where it has one, or take more steps`,
    ];
  }
  if (!counts || mayReuse.length < ENOUGH_DECISIONS) return [];
  if (counts.blocksReused === 0) {
    return [
      `cache ${cache}: nothing was cached in ${steps} steps, since no change was small enough; raise its threshold, or sample without a cache`,
    ];
  }
  const fewest = Math.min(...counts.stepBlocks);
  if (mayReuse.some((step) => counts.stepBlocks[step] !== fewest)) return [];
  return [
    `cache ${cache}: all ${mayReuse.length} steps that could be cached were, since no change was too large; pictures may be far from the uncached ones: lower its threshold`,
  ];
}
