import type { CachePlan, PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import type { Span } from '../site.ts';
import {
  checkOffset,
  checkWhole,
  defaultCachedBlocks,
  defaultInterval,
  planStages,
  spanSites,
} from '../stage-planner.ts';

export type Region = 'front' | 'middle' | 'rear';

export interface SpanCacheOptions {
  readonly region: Region;
  /** N. Default 2. */
  readonly interval?: number;
  /** N_c. Default ¾ of the depth, 6/28 of it for at most 8 steps. */
  readonly cachedBlocks?: number;
  /** Blocks before the span. Default 0 for front, half of what is left for middle, all of it for rear. */
  readonly offset?: number;
  /** Instead of holding what the region last gave. */
  readonly predictor?: PredictorSpec;
}

/** Δ-Cache on one region at all steps: the paper's ablations (arXiv 2406.01125, Tables 1, 2 and 4). */
export function deltaCache(options: SpanCacheOptions): StaticPolicy {
  return spanCache(`delta-cache-${options.region}`, 'delta', options);
}

/**
 * Reuses the output of a region instead of its residual: at a cached step the current input does not enter it. The
 * paper's counter-example; on the front blocks it is Faster Diffusion as the paper ports it to DiT (Tables 2 to 4).
 */
export function featureCache(options: SpanCacheOptions): StaticPolicy {
  return spanCache(`feature-cache-${options.region}`, 'output', options);
}

function spanCache(name: string, keeps: CachePlan['keeps'], options: SpanCacheOptions): StaticPolicy {
  return {
    name,
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps, depth } = setting;
      const interval = options.interval ?? defaultInterval(numInferenceSteps);
      const count = options.cachedBlocks ?? defaultCachedBlocks(numInferenceSteps, depth);
      checkWhole('interval', interval, 1, numInferenceSteps, 'the number of steps');
      checkWhole('cachedBlocks', count, 0, depth, "the model's blocks");
      const { first } =
        options.offset === undefined ? regionSpan(options.region, count, depth) : { first: options.offset };
      checkOffset('offset', first, count, depth);
      const { predictor } = options;
      return planStages({ ...setting, interval, sitesAt: () => spanSites({ first, count }), keeps, predictor });
    },
  };
}

/** Where Δ-Cache of a region skips `count` blocks of a model. */
export function regionSpan(region: Region, count: number, depth: number): Span {
  const room = depth - count;
  if (region === 'front') return { first: 0, count };
  return { first: region === 'rear' ? room : Math.floor(room / 2), count };
}
