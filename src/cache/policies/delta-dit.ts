import { OptionError } from '../../errors.ts';
import { type BudgetStages, stagesOfBudget } from '../budget.ts';
import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import {
  checkOffset,
  checkWhole,
  defaultCachedBlocks,
  defaultInterval,
  defaultStageBound,
  planDeltaDiT,
} from '../stage-planner.ts';

export interface DeltaDiTOptions {
  /** N: one full step in every `interval`. Default 2. */
  readonly interval?: number;
  /** N_c: blocks skipped at a cached step. Default ¾ of the depth, 6/28 of it for at most 8 steps. */
  readonly cachedBlocks?: number;
  /** The part of the uncached MACs to spend, such as 0.625: gives N and N_c instead of the two options above. */
  readonly budget?: number;
  /** b: steps from noise that cache the rear span. Default 2·round(0.3·T). */
  readonly stageBound?: number;
  /** Blocks before the front span. Default 0. */
  readonly frontOffset?: number;
  /** Blocks before the rear span. Default depth − cachedBlocks. */
  readonly rearOffset?: number;
  /** Instead of holding the last Δ of a span, which is Δ-DiT. */
  readonly predictor?: PredictorSpec;
}

/**
 * Δ-DiT (arXiv 2406.01125): Δ-Cache on the rear blocks in early steps, on the front blocks in later ones.
 * @throws OptionError when `budget` comes with `interval` or `cachedBlocks`.
 */
export function deltaDiT(options: DeltaDiTOptions = {}): StaticPolicy {
  if (options.budget !== undefined && (options.interval ?? options.cachedBlocks) !== undefined) {
    throw new OptionError('budget: gives interval and cachedBlocks; expected it or them, got both');
  }
  return {
    name: 'delta-dit',
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps, depth } = setting;
      const { interval, cachedBlocks } = stagesOf(options, setting);
      const stageBound = options.stageBound ?? defaultStageBound(numInferenceSteps);
      checkWhole('interval', interval, 1, numInferenceSteps, 'the number of steps');
      checkWhole('cachedBlocks', cachedBlocks, 0, depth, "the model's blocks");
      checkWhole('stageBound', stageBound, 0, numInferenceSteps, 'the number of steps');
      const frontOffset = options.frontOffset ?? 0;
      const rearOffset = options.rearOffset ?? depth - cachedBlocks;
      checkOffset('frontOffset', frontOffset, cachedBlocks, depth);
      checkOffset('rearOffset', rearOffset, cachedBlocks, depth);
      const stages = { interval, cachedBlocks, stageBound, frontOffset, rearOffset };
      return planDeltaDiT({ ...setting, ...stages, predictor: options.predictor });
    },
  };
}

function stagesOf({ budget, interval, cachedBlocks }: DeltaDiTOptions, setting: PlanSetting): BudgetStages {
  if (budget !== undefined) return stagesOfBudget(budget, setting);
  const { numInferenceSteps, depth } = setting;
  return {
    interval: interval ?? defaultInterval(numInferenceSteps),
    cachedBlocks: cachedBlocks ?? defaultCachedBlocks(numInferenceSteps, depth),
  };
}
