import type { DynamicPolicy } from '../policy.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import type { HalvesOption } from '../row-change.ts';
import { firstBlocksPolicy } from './db-cache.ts';

export interface FirstBlockCacheOptions extends HalvesOption {
  /** τ: the blocks after the first are skipped where its change stays below it. Default 0.05; 0 skips nothing. */
  readonly threshold?: number;
  /** Steps from noise that are computed. Default 0; the first of all always is. */
  readonly warmUpSteps?: number;
  /** How the residual of the blocks after the first is predicted. Default hold. */
  readonly predictor?: PredictorSpec;
}

/**
 * First Block Cache (github.com/chengzeyi/ParaAttention, `first_block_cache`; diffusers' `FirstBlockCacheConfig`, whose
 * threshold is the default). With R what the first block adds at a step and R′ what it added at the last step computed, all
 * later blocks are replaced by their residual of that step where mean|R − R′| ÷ mean|R′| < τ.
 * @throws OptionError for numbers out of range.
 */
export function firstBlockCache(options: FirstBlockCacheOptions = {}): DynamicPolicy {
  const { threshold = 0.05, warmUpSteps = 0, predictor = { name: 'hold' }, halves } = options;
  const own = { threshold, warmUpSteps, predictor, firstBlocks: 1 };
  return firstBlocksPolicy('first-block-cache', { ...own, ...(halves && { halves }) });
}
