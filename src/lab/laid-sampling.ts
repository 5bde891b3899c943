import type { Painter } from '../pipelines/painter.ts';
import type { PlanOptions } from '../pipelines/run-plan.ts';
import { SAMPLER_NAMES, type SamplerName } from '../schedulers/samplers.ts';

/** How a run samples, nothing left open. */
export interface LaidSampling {
  readonly sampler: SamplerName;
  readonly guidanceScale: number | undefined;
  /** T. */
  readonly count: number;
  /** Of the two, the number where the sampler lays the same timesteps by itself. */
  readonly steps: { readonly numInferenceSteps: number } | { readonly timesteps: readonly number[] };
}

/** What a run with these options does where they leave something open, also by the plan that it follows. @throws as `plan` */
export function laidSampling(pipe: Painter['pipe'], options: PlanOptions): LaidSampling {
  const { timesteps, numInferenceSteps: count, run } = pipe.planSetting(options);
  const sampler = SAMPLER_NAMES.find((name) => name === run?.sampler) ?? 'ddim';
  const own = pipe.planSetting({ sampler, numInferenceSteps: count }).timesteps;
  const isOwn = options.timesteps === undefined && String(own) === String(timesteps);
  const steps = isOwn ? { numInferenceSteps: count } : { timesteps };
  return { sampler, guidanceScale: run?.guidanceScale, count, steps };
}
