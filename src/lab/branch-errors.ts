import type { BranchName } from '../models/block.ts';
import type { BranchReading } from './branch-meter.ts';
import { meanOf } from './spread.ts';

interface Sums {
  size: number;
  changes: number[];
}

/** Readings of several runs of the same steps, summed up over their pictures. */
export class BranchErrors {
  /** By branch, block and step. */
  private readonly sums = new Map<BranchName, Sums[][]>();

  add({ step, block, branch, size, changes }: BranchReading): void {
    const blocks = this.sums.get(branch) ?? [];
    this.sums.set(branch, blocks);
    blocks[block] ??= [];
    const before = blocks[block][step] ?? { size: 0, changes: changes.map(() => 0) };
    const summed = changes.map((change, k) => change + (before.changes[k] ?? 0));
    blocks[block][step] = { size: before.size + size, changes: summed };
  }

  /**
   * The mean over the blocks of Σ|yᵢ − yᵢ₊ₖ| ÷ Σ|yᵢ₊ₖ|.
   * @returns [k − 1][i] for k = 1 … lookahead, steps − k numbers each
   */
  of(branch: BranchName, steps: number, lookahead: number): readonly (readonly number[])[] {
    const blocks = this.sums.get(branch) ?? [];
    return Array.from({ length: lookahead }, (_, k) =>
      Array.from({ length: steps - k - 1 }, (_, i) =>
        meanOf(
          blocks.map((ofSteps) => {
            const { size, changes } = ofSteps[i + k + 1] ?? { size: Number.NaN, changes: [] };
            return (changes[k] ?? Number.NaN) / size;
          }),
        ),
      ),
    );
  }
}
