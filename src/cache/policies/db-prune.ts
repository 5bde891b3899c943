import { OptionError } from '../../errors.ts';
import { splitRows } from '../../ops/rows.ts';
import type { BlockPass, DynamicRun } from '../dynamic.ts';
import { checkCount, checkNumber } from '../option-checks.ts';
import type { DynamicPolicy } from '../policy.ts';
import { type HalvesOption, halvesTogether, readRows, relativeChange } from '../row-change.ts';
import { checkWhole } from '../stage-planner.ts';

export interface DBPruneOptions extends HalvesOption {
  /** τ: a block is skipped where the change of its input stays below it. Default 0.08; 0 skips nothing. */
  readonly threshold?: number;
  /** Fn: blocks at the start that are always computed. Default 8, less where the model has no more. */
  readonly firstBlocks?: number;
  /** Bn: blocks at the end that are always computed. Default 0. */
  readonly lastBlocks?: number;
  /** Other blocks that are always computed, 0… . Default none. */
  readonly alwaysComputed?: readonly number[];
  /** W: steps from noise that are computed. Default 8. */
  readonly warmUpSteps?: number;
  /** Raises τ with the changes of the step: to `relaxation` times their mean, where that is below `maxThreshold`. Default no. */
  readonly tunesItself?: boolean;
  /** Default 1.25. */
  readonly relaxation?: number;
  /** Default 2τ. */
  readonly maxThreshold?: number;
}

/** Changes of a step that tune τ: the first five (`get_residual_diff_threshold`). */
const TUNING_CHANGES = 5;

/**
 * DBPrune (`PrunedBlocks` of github.com/vipshop/cache-dit 1.5). With X a block's input at a step and X′ its input when it was
 * last computed, the block is replaced by the residual that it had then where mean|X − X′| ÷ mean|X′| < τ. One read a block,
 * two tensors kept a block. cache-dit's limits of cached steps are DBCache's here.
 * @throws OptionError for numbers out of range; with a run, for blocks that the model lacks.
 */
export function dbPrune(options: DBPruneOptions = {}): DynamicPolicy {
  const { threshold = 0.08, lastBlocks = 0, alwaysComputed = [], warmUpSteps = 8, tunesItself = false } = options;
  const { relaxation = 1.25, maxThreshold = 2 * threshold } = options;
  checkNumber('threshold', threshold, 0);
  checkCount('warmUpSteps', warmUpSteps);
  checkNumber('relaxation', relaxation, 0);
  checkNumber('maxThreshold', maxThreshold, 0);
  return {
    name: 'dbprune',
    begin: (setting) => {
      const { depth } = setting;
      checkWhole('lastBlocks', lastBlocks, 0, depth - 1, "the model's blocks, less one for firstBlocks");
      const firstBlocks = options.firstBlocks ?? Math.min(8, depth - lastBlocks);
      checkWhole('firstBlocks', firstBlocks, 1, depth - lastBlocks, "the model's blocks, less lastBlocks");
      for (const block of alwaysComputed) {
        if (!(Number.isInteger(block) && block >= 0 && block < depth))
          throw new OptionError(`alwaysComputed: expected blocks from 0 to ${depth - 1}, got ${block}`);
      }
      const isKept = (block: number) =>
        block < firstBlocks || block >= depth - lastBlocks || alwaysComputed.includes(block);
      const halves = halvesTogether(options.halves, setting);
      return new DBPruneRun({ threshold, warmUpSteps, tunesItself, relaxation, maxThreshold, isKept, halves });
    },
  };
}

interface Pruning extends Required<Omit<DBPruneOptions, 'firstBlocks' | 'lastBlocks' | 'alwaysComputed' | 'halves'>> {
  readonly halves: number;
  readonly isKept: (block: number) => boolean;
}

class DBPruneRun implements DynamicRun {
  readonly keeps = 'delta';
  readonly predictor = { name: 'hold' } as const;

  constructor(private readonly options: Pruning) {}

  mayReuse(step: number): boolean {
    return step >= Math.max(1, this.options.warmUpSteps);
  }

  async blocks(step: number, pass: BlockPass): Promise<void> {
    const seen: number[][] = Array.from({ length: pass.rowCount }, () => []);
    while (pass.position < pass.depth) {
      const block = pass.position;
      if (this.options.isKept(block)) await pass.compute(block + 1);
      else await this.passBlock(step, pass, seen);
    }
  }

  /** @param seen changes of each row that this step has seen; added to */
  private async passBlock(step: number, pass: BlockPass, seen: readonly number[][]): Promise<void> {
    const name = `input of block ${pass.position}`;
    const before = pass.kept.get(name);
    const looks = before && this.options.threshold > 0 && this.mayReuse(step);
    const changes = looks ? await readRows(relativeChange(pass.tokens, before, this.options.halves)) : undefined;
    const reuse = seen.map((ofRow, row) => {
      const change = changes?.[row] ?? Number.POSITIVE_INFINITY;
      return change < this.threshold(ofRow);
    });
    for (const [row, change] of (changes ?? []).entries()) seen[row]?.push(change);
    pass.kept.put(name, pass.tokens, splitRows(reuse).no);
    await pass.span(pass.position + 1, reuse);
  }

  private threshold(seen: readonly number[]): number {
    const { threshold, tunesItself, relaxation, maxThreshold } = this.options;
    const changes = seen.slice(0, TUNING_CHANGES).filter((change) => change > 0);
    if (!tunesItself || changes.length === 0) return threshold;
    const relaxed = (relaxation * changes.reduce((sum, change) => sum + change, 0)) / changes.length;
    return relaxed < maxThreshold ? Math.max(threshold, relaxed) : threshold;
  }
}
