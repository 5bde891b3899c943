import type { CachePolicy } from '../cache/policy.ts';
import type { SamplerName } from '../schedulers/samplers.ts';

/** A way to sample, as a laboratory compares them. */
export interface LabMethod {
  /** Shown in tables; methods of one name are one method. */
  readonly name: string;
  /** Drawn as one line in plots. */
  readonly family: string;
  readonly sampler: SamplerName;
  readonly numInferenceSteps: number;
  readonly timesteps?: readonly number[] | undefined;
  readonly cache?: CachePolicy | undefined;
}

/** Steps of a sampler without a cache. */
export function uncached(sampler: SamplerName, numInferenceSteps: number): LabMethod {
  return { name: `${sampler}, ${numInferenceSteps} steps`, family: sampler, sampler, numInferenceSteps };
}

/** A cache method under a sampler. @param detail of the method's options, where the name does not say them */
export function cached(cache: CachePolicy, sampler: SamplerName, numInferenceSteps: number, detail = ''): LabMethod {
  const what = detail === '' ? cache.name : `${cache.name} ${detail}`;
  const name = `${what}, ${sampler}, ${numInferenceSteps} steps`;
  return { name, family: cache.name, sampler, numInferenceSteps, cache };
}

/** Each once, in order. */
export function distinct(methods: readonly LabMethod[]): readonly LabMethod[] {
  return [...new Map(methods.map((method) => [method.name, method])).values()];
}

/** What a pipeline takes of a method. */
export function samplingOf({ sampler, numInferenceSteps, timesteps, cache }: Omit<LabMethod, 'name' | 'family'>) {
  return { sampler, cache, ...(timesteps ? { timesteps } : { numInferenceSteps }) };
}
