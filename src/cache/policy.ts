import type { DynamicRun } from './dynamic.ts';
import type { RunFingerprint } from './fingerprint.ts';
import type { CachePlan, PlanSetting } from './plan.ts';

/** A cache method that decides everything before step 0. */
export interface StaticPolicy {
  /** Shown in reports and written into images. */
  readonly name: string;
  /** The run that it was calibrated for: what a caller leaves open is taken from it. */
  readonly madeFor?: RunFingerprint;
  /** @throws OptionError when its options do not fit the model or the number of steps. */
  plan(setting: PlanSetting): CachePlan;
}

/** A cache method that decides as it runs, for each row by itself. */
export interface DynamicPolicy {
  readonly name: string;
  /** The state of one run. @throws OptionError as a static policy's `plan`. */
  begin(setting: PlanSetting): DynamicRun;
}

export type CachePolicy = StaticPolicy | DynamicPolicy;

export function isStatic(policy: CachePolicy): policy is StaticPolicy {
  return 'plan' in policy;
}
