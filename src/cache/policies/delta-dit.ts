import type { CachePolicy, PlanSetting } from '../plan.ts';
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
  /** b: steps from noise that cache the rear span. Default 2·round(0.3·T). */
  readonly stageBound?: number;
  /** Blocks before the front span. Default 0. */
  readonly frontOffset?: number;
  /** Blocks before the rear span. Default depth − cachedBlocks. */
  readonly rearOffset?: number;
}

/** Δ-DiT (arXiv 2406.01125): Δ-Cache on the rear blocks in early steps, on the front blocks in later ones. */
export function deltaDiT(options: DeltaDiTOptions = {}): CachePolicy {
  return {
    name: 'delta-dit',
    plan: ({ numInferenceSteps, depth }: PlanSetting) => {
      const interval = options.interval ?? defaultInterval(numInferenceSteps);
      const cachedBlocks = options.cachedBlocks ?? defaultCachedBlocks(numInferenceSteps, depth);
      const stageBound = options.stageBound ?? defaultStageBound(numInferenceSteps);
      checkWhole('interval', interval, 1, numInferenceSteps, 'the number of steps');
      checkWhole('cachedBlocks', cachedBlocks, 0, depth, "the model's blocks");
      checkWhole('stageBound', stageBound, 0, numInferenceSteps, 'the number of steps');
      const frontOffset = options.frontOffset ?? 0;
      const rearOffset = options.rearOffset ?? depth - cachedBlocks;
      checkOffset('frontOffset', frontOffset, cachedBlocks, depth);
      checkOffset('rearOffset', rearOffset, cachedBlocks, depth);
      return planDeltaDiT({ numInferenceSteps, depth, interval, cachedBlocks, stageBound, frontOffset, rearOffset });
    },
  };
}
