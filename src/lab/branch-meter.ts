import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import { type Block, type BlockRunner, type BranchName, type Modulation, runBranches } from '../models/block.ts';

/** How a branch's output y, before its gate, differs from those of the steps before. Sums over rows, tokens and channels. */
export interface BranchReading {
  /** 0… from noise. */
  readonly step: number;
  readonly block: number;
  readonly branch: BranchName;
  /** Σ|y| */
  readonly size: number;
  /** Σ|y of the k-th step before − y|, k = 1… as far as there are steps. */
  readonly changes: readonly number[];
}

/**
 * Measures every branch over one uncached run, as a block runner that computes every block. From step to step it holds
 * `lookahead` outputs [N,T,D] a branch on the device; what is read back, once a step, are scalars.
 */
export class BranchMeter {
  /** By block and branch, newest first. */
  private readonly before = new Map<string, tf.Tensor3D[]>();

  constructor(
    private readonly lookahead: number,
    private readonly onReading: (reading: BranchReading) => void,
  ) {}

  /** The runner of one step; they follow one another from noise. */
  atStep(step: number): BlockRunner {
    return (blocks, tokens, cond) => this.run(step, blocks, tokens, cond);
  }

  /** Frees what is kept. */
  dispose(): void {
    tf.dispose([...this.before.values()].flat());
    this.before.clear();
  }

  private async run<C, M extends Modulation>(
    step: number,
    blocks: readonly Block<C, M>[],
    tokens: tf.Tensor3D,
    cond: C,
  ): Promise<tf.Tensor3D> {
    const places: Pick<BranchReading, 'block' | 'branch'>[] = [];
    const sums: tf.Tensor1D[] = [];
    let h = tokens.clone();
    try {
      for (const [index, block] of blocks.entries()) {
        const asked = block.branches.map(({ name }) => name);
        const { tokens: next, raw } = runBranches(block, h, cond, { given: new Map(), asked });
        h.dispose();
        h = next;
        for (const [branch, output] of raw) {
          places.push({ block: index, branch });
          sums.push(this.compare(`${index} ${branch}`, output));
        }
      }
      await this.read(step, places, sums);
      return h;
    } catch (error) {
      h.dispose();
      throw error;
    } finally {
      tf.dispose(sums);
    }
  }

  /** @param raw [N,T,D], kept from here on @returns Σ|y|, then Σ of each change */
  private compare(key: string, raw: tf.Tensor3D): tf.Tensor1D {
    const past = this.before.get(key) ?? [];
    const sum = (x: tf.Tensor) => tf.sum(tf.abs(x));
    const sums = tf.tidy(
      () => tf.stack([sum(raw), ...past.map((earlier) => sum(tf.sub(earlier, raw)))]) as tf.Tensor1D,
    );
    const kept = [tf.keep(raw), ...past];
    tf.dispose(kept.splice(this.lookahead));
    this.before.set(key, kept);
    return sums;
  }

  /** One awaited read for all branches. */
  private async read(
    step: number,
    places: readonly Pick<BranchReading, 'block' | 'branch'>[],
    sums: tf.Tensor1D[],
  ): Promise<void> {
    const stacked = tf.stack(sums); // [S,1+k]
    const values = await readTensor(stacked).finally(() => stacked.dispose());
    const [, count = 1] = stacked.shape;
    for (const [index, place] of places.entries()) {
      const [size = 0, ...changes] = values.slice(index * count, (index + 1) * count);
      this.onReading({ step, ...place, size, changes });
    }
  }
}
