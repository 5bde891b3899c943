/** What a caller leaves open, filled in. */
import { hasPlan, parseArtifact } from '../cache/artifact.ts';
import { tablePolicy } from '../cache/policies/table.ts';
import { type CachePolicy, isStatic } from '../cache/policy.ts';
import { OptionError } from '../errors.ts';
import { createSampler, SAMPLER_NAMES, type SamplerName, type StepsOption, samplerOf } from '../schedulers/samplers.ts';
import type { SchedulerRecord } from '../schedulers/scheduler-config.ts';
import type { PixelSize, RunOptions, RunSetting } from './run-options.ts';

type PlanRunOptions = Pick<RunOptions, 'numInferenceSteps' | 'timesteps' | 'sampler' | 'guidanceScale' | 'cache'>;

/** Of a run's options, what its plan depends on. */
export interface PlanOptions extends PlanRunOptions {
  /** What the model paints, where it paints more than one size: plans that were calibrated at a size ask. */
  readonly painted?: PixelSize | undefined;
}

export interface FilledOptions {
  readonly sampler: SamplerName;
  readonly steps: StepsOption;
  readonly guidanceScale: number;
  readonly cache: CachePolicy | undefined;
  readonly painted?: PixelSize | undefined;
}

/**
 * The caller's options; where they leave something open, those of the run that the cache method was calibrated for, else
 * the checkpoint's.
 * @throws OptionError for the checkpoint's plan where it has none
 */
export function withDefaults(setting: RunSetting, options: PlanOptions): FilledOptions {
  const { scheduler, defaults } = setting;
  const cache = options.cache === 'auto' ? carriedPlan(setting) : options.cache;
  const madeFor = (cache && isStatic(cache) && cache.madeFor) || {};
  const named = SAMPLER_NAMES.find((name) => name === madeFor.sampler);
  const { sampler = named ?? samplerOf(scheduler), guidanceScale = madeFor.guidanceScale ?? defaults.guidanceScale } =
    options;
  const steps = stepsOf(options) ?? calibratedSteps(sampler, scheduler, madeFor) ?? stepsOf(defaults) ?? {};
  return { sampler, steps, guidanceScale, cache, painted: options.painted };
}

function stepsOf({ numInferenceSteps, timesteps }: StepsOption): StepsOption | undefined {
  if (numInferenceSteps === undefined && timesteps === undefined) return undefined;
  return { numInferenceSteps, timesteps };
}

/** As a number where the scheduler lays the same timesteps, since not every sampler takes them. */
function calibratedSteps(sampler: SamplerName, scheduler: SchedulerRecord, made: StepsOption): StepsOption | undefined {
  const { numInferenceSteps, timesteps } = made;
  if (!timesteps || numInferenceSteps === undefined) return stepsOf(made);
  const own = createSampler(sampler, { numInferenceSteps, scheduler });
  own.dispose();
  return String(own.timesteps) === String(timesteps) ? { numInferenceSteps } : { timesteps };
}

function carriedPlan({ cachePlan }: RunSetting): CachePolicy {
  if (cachePlan === undefined) {
    throw new OptionError(
      'cache: \'auto\' is the plan that a checkpoint carries, and this one has none; "delta-dit tune" makes one, or name a method',
    );
  }
  const artifact = parseArtifact('cache-plan.json', cachePlan);
  if (hasPlan(artifact)) return tablePolicy(artifact);
  throw new OptionError('cache: \'auto\': cache-plan.json holds no plan; "delta-dit tune" makes one');
}
