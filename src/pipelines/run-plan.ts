/** What a cache method does in a run, before the run begins. */
import { CachedBlocks } from '../cache/cached-blocks.ts';
import { DynamicCache } from '../cache/dynamic-cache.ts';
import { outputForm } from '../cache/output-form.ts';
import { type CachePlan, checkPlan, type PlanSetting, uncachedPlan } from '../cache/plan.ts';
import { type CachePolicy, isStatic } from '../cache/policy.ts';
import type { RunCache } from '../cache/run-cache.ts';
import { OptionError } from '../errors.ts';
import { createSampler, readsVariance } from '../schedulers/samplers.ts';
import type { SchedulerRecord } from '../schedulers/scheduler-config.ts';
import { cleanMap } from './clean-latents.ts';
import { type FilledOptions, type PlanOptions, withDefaults } from './run-defaults.ts';
import type { RunSetting } from './run-options.ts';

export type { PlanOptions } from './run-defaults.ts';

/** A cache method as it is for one run. */
export interface RunMethod {
  /** Null where it decides as it runs. */
  readonly plan: CachePlan | null;
  /** Where it decides as it runs: the steps that it may skip something at. */
  readonly mayReuse: readonly number[] | null;
  /** The state of a run, fresh. */
  readonly start: () => RunCache;
}

/** @throws OptionError where the method's options do not fit the run, or it cannot serve the sampler */
export function methodOfRun(setting: RunSetting, filled: FilledOptions, timesteps: readonly number[]): RunMethod {
  const { cache: policy, sampler } = filled;
  const method = cacheMethod(settingAt(setting, filled, timesteps), setting.scheduler, policy);
  if (method.predictsModel && readsVariance(sampler)) {
    throw new OptionError(
      `cache ${policy?.name} skips the whole model, and ${sampler} reads the variance that the model learned at each step; use a sampler that reads none, such as ddim or dpm-solver++`,
    );
  }
  return method;
}

/** @returns also whether some steps do not run the model at all */
function cacheMethod(
  setting: PlanSetting,
  scheduler: SchedulerRecord,
  policy: CachePolicy | undefined,
): RunMethod & { readonly predictsModel: boolean } {
  const toClean = cleanMap(scheduler);
  const clean = (step: number) => toClean(setting.timesteps[step] ?? 0);
  if (policy && !isStatic(policy)) {
    const run = policy.begin(setting); // its options are checked before anything is computed
    const { keeps, model } = run;
    const mayReuse = [...setting.timesteps.keys()].filter((step) => run.mayReuse?.(step) ?? step > 0);
    const start = () => new DynamicCache(policy.begin(setting), setting.depth, outputForm(keeps, clean));
    return { plan: null, mayReuse, start, predictsModel: model !== undefined };
  }
  const plan = policy ? checkPlan(policy.plan(setting), setting) : uncachedPlan(setting);
  const predictsModel = plan.steps.some(({ reuse }) => reuse.some(({ kind }) => kind === 'model'));
  const start = () => new CachedBlocks(plan, outputForm(plan.keeps, clean));
  return { plan, mayReuse: null, start, predictsModel };
}

/** What a run's plan is made for. @throws OptionError for an unknown sampler, or steps or timesteps out of range */
export function planSettingOf(setting: RunSetting, options: PlanOptions): PlanSetting {
  return planned(setting, options).setting;
}

/** The plan of a run; null under a method that decides as it runs. @throws OptionError as `generate` */
export function planOf(setting: RunSetting, options: PlanOptions): CachePlan | null {
  const { setting: made, cache } = planned(setting, options);
  return cacheMethod(made, setting.scheduler, cache).plan;
}

function planned(setting: RunSetting, options: PlanOptions) {
  const filled = withDefaults(setting, options);
  const sampler = createSampler(filled.sampler, { ...filled.steps, scheduler: setting.scheduler });
  const { timesteps } = sampler;
  sampler.dispose();
  return { setting: settingAt(setting, filled, timesteps), cache: filled.cache };
}

function settingAt(
  { depth, branches, sha256 }: RunSetting,
  { sampler, guidanceScale, painted }: FilledOptions,
  timesteps: readonly number[],
): PlanSetting {
  const run = { sha256, sampler, guidanceScale, ...painted };
  return { numInferenceSteps: timesteps.length, depth, branches, timesteps, run };
}
