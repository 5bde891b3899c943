import * as tf from '@tensorflow/tfjs-core';
import { splitRows } from '../../ops/rows.ts';
import { residual } from '../delta.ts';
import type { BlockPass, DynamicRun } from '../dynamic.ts';
import { checkCount, checkNumber } from '../option-checks.ts';
import type { DynamicPolicy } from '../policy.ts';
import { predictorOf } from '../predictors/named.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import { type HalvesOption, halvesTogether, readRows, relativeChange } from '../row-change.ts';
import { checkWhole } from '../stage-planner.ts';

export interface DBCacheOptions extends HalvesOption {
  /** τ: the middle blocks are skipped where the change stays below it. Default 0.08; 0 skips nothing. */
  readonly threshold?: number;
  /** Fn: blocks that are always computed, and whose residual tells. Default 8, less where the model has no more. */
  readonly firstBlocks?: number;
  /** Bn: blocks at the end that are always computed. Default 0. */
  readonly lastBlocks?: number;
  /** W: steps from noise that are computed. Default 8. */
  readonly warmUpSteps?: number;
  /** How many steps may be cached in all. Default: no limit. */
  readonly maxCachedSteps?: number;
  /** How many steps may be cached one after another. Default: no limit. */
  readonly maxConsecutive?: number;
  /** cache-dit's calibrator: how the residual of the middle blocks is predicted. Default hold. */
  readonly predictor?: PredictorSpec;
}

/**
 * DBCache (`CachedBlocks` and `can_cache` of github.com/vipshop/cache-dit 1.5). With R what the first Fn blocks add at a
 * step and R′ what they added at the last step computed, the middle blocks are replaced by their predicted residual where
 * mean|R − R′| ÷ mean|R′| < τ; the last Bn blocks are always computed. Defaults are cache-dit's F8 B0 W8.
 *
 * cache-dit's count of consecutive steps runs on over a computed step that no limit forced; here it starts anew. Its τ ≥ 1
 * skips without looking; here it is a threshold like others.
 * @throws OptionError for numbers out of range; with a run, where Fn + Bn exceeds the model's blocks.
 */
export function dbCache(options: DBCacheOptions = {}): DynamicPolicy {
  const { threshold = 0.08, warmUpSteps = 8 } = options;
  return firstBlocksPolicy('dbcache', { ...options, threshold, warmUpSteps });
}

/** What DBCache and the First Block Cache have in common. */
export function firstBlocksPolicy(
  name: string,
  options: DBCacheOptions & Required<Pick<DBCacheOptions, 'threshold' | 'warmUpSteps'>>,
): DynamicPolicy {
  const { threshold, warmUpSteps, lastBlocks = 0, predictor = { name: 'hold' } } = options;
  const { maxCachedSteps = Number.POSITIVE_INFINITY, maxConsecutive = Number.POSITIVE_INFINITY } = options;
  checkNumber('threshold', threshold, 0);
  checkCount('warmUpSteps', warmUpSteps);
  checkCount('maxCachedSteps', maxCachedSteps);
  checkCount('maxConsecutive', maxConsecutive);
  predictorOf(predictor);
  return {
    name,
    begin: (setting) => {
      const { depth } = setting;
      checkWhole('lastBlocks', lastBlocks, 0, depth - 1, "the model's blocks, less one for firstBlocks");
      const firstBlocks = options.firstBlocks ?? Math.min(8, depth - lastBlocks);
      checkWhole('firstBlocks', firstBlocks, 1, depth - lastBlocks, "the model's blocks, less lastBlocks");
      const limits = { threshold, warmUpSteps, maxCachedSteps, maxConsecutive };
      const halves = halvesTogether(options.halves, setting);
      return new FirstBlocksRun({ ...limits, firstBlocks, lastBlocks, predictor }, halves);
    },
  };
}

class FirstBlocksRun implements DynamicRun {
  readonly keeps = 'delta';
  readonly predictor: PredictorSpec;
  readonly signals: number[][] = [];
  /** Of each row, steps cached in all and since the last computed one. */
  private readonly cached: number[] = [];
  private readonly consecutive: number[] = [];

  constructor(
    private readonly options: Required<Omit<DBCacheOptions, 'halves'>>,
    private readonly halves: number,
  ) {
    this.predictor = options.predictor;
  }

  mayReuse(step: number): boolean {
    return step >= Math.max(1, this.options.warmUpSteps);
  }

  async blocks(step: number, pass: BlockPass): Promise<void> {
    const { firstBlocks, lastBlocks } = this.options;
    const entry = pass.tokens.clone();
    let added: tf.Tensor3D | undefined;
    try {
      await pass.compute(firstBlocks);
      added = residual(pass.tokens, entry);
      const reuse = await this.decide(step, pass, added);
      pass.kept.put('first blocks', added, splitRows(reuse).no);
      await pass.span(pass.depth - lastBlocks, reuse);
    } finally {
      tf.dispose(added ? [entry, added] : entry);
    }
  }

  private async decide(step: number, pass: BlockPass, added: tf.Tensor3D): Promise<boolean[]> {
    const { threshold, maxCachedSteps, maxConsecutive } = this.options;
    const before = pass.kept.get('first blocks');
    const changes = before && this.mayReuse(step) ? await readRows(relativeChange(added, before, this.halves)) : [];
    this.signals.push(changes);
    return Array.from({ length: pass.rowCount }, (_, row) => {
      const [cached, consecutive] = [this.cached[row] ?? 0, this.consecutive[row] ?? 0];
      const allowed = cached < maxCachedSteps && consecutive < maxConsecutive;
      const reuse = allowed && (changes[row] ?? Number.POSITIVE_INFINITY) < threshold;
      this.cached[row] = cached + (reuse ? 1 : 0);
      this.consecutive[row] = reuse ? consecutive + 1 : 0;
      return reuse;
    });
  }
}
