import { type CachePlan, countBlocks } from '../cache/plan.ts';
import { addsNoise, type SamplerName } from '../schedulers/samplers.ts';

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
