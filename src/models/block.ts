import * as tf from '@tensorflow/tfjs-core';
import type { BranchHooks } from '../layers/hooks.ts';
import { gateResidual } from '../ops/layer-norm.ts';

export type BranchName = 'self' | 'cross' | 'mlp';

/** What a block's adaLN makes of the conditioning, once per step. All [N,D]. */
export interface Modulation {
  readonly shiftMsa: tf.Tensor2D;
  readonly scaleMsa: tf.Tensor2D;
  readonly gateMsa: tf.Tensor2D;
  readonly shiftMlp: tf.Tensor2D;
  readonly scaleMlp: tf.Tensor2D;
  readonly gateMlp: tf.Tensor2D;
}

/** One residual branch of a block. Inputs are borrowed, results are fresh. */
export interface Branch {
  readonly name: BranchName;
  /** The branch before its gate, biases included: [N,T,D] → [N,T,D]. */
  raw(x: tf.Tensor3D, mod: Modulation, hooks?: BranchHooks): tf.Tensor3D;
  /** x + gate·raw. */
  merge(x: tf.Tensor3D, raw: tf.Tensor3D, mod: Modulation): tf.Tensor3D;
  /** Equals `merge(x, raw(x, mod), mod)`; what runners call unless they record or replace `raw`. */
  apply(x: tf.Tensor3D, mod: Modulation): tf.Tensor3D;
}

/** A transformer block as a runner sees it; `C` is the model's conditioning, which a runner only passes on. */
export interface Block<C> {
  modulation(cond: C): Modulation;
  readonly branches: readonly Branch[];
}

/**
 * How a model's blocks are run: the seam between models and caches. Borrows `tokens` [N,T,D] and `cond`, gives fresh
 * tokens [N,T,D]. A promise, so that a runner may await a value in mid-forward.
 */
export type BlockRunner = <C>(blocks: readonly Block<C>[], tokens: tf.Tensor3D, cond: C) => Promise<tf.Tensor3D>;

/** A branch x + gate·raw(x), the gate picked from the modulation. */
export function gatedBranch(
  name: BranchName,
  gate: (mod: Modulation) => tf.Tensor2D,
  raw: (x: tf.Tensor3D, mod: Modulation, hooks?: BranchHooks) => tf.Tensor3D,
): Branch {
  const merge = (x: tf.Tensor3D, y: tf.Tensor3D, mod: Modulation) => gateResidual(x, y, gate(mod));
  return { name, raw, merge, apply: (x, mod) => tf.tidy(() => merge(x, raw(x, mod), mod)) };
}

/** Computes one block, in one tidy. */
export function runBlock<C>(block: Block<C>, tokens: tf.Tensor3D, cond: C): tf.Tensor3D {
  return tf.tidy(() => {
    const mod = block.modulation(cond);
    return block.branches.reduce((x, branch) => branch.apply(x, mod), tokens.clone()); // [N,T,D]
  });
}

/** The default runner: every block, in order. */
export const runAllBlocks: BlockRunner = async (blocks, tokens, cond) => {
  let x = tokens.clone();
  try {
    for (const block of blocks) {
      const next = runBlock(block, x, cond);
      x.dispose();
      x = next;
    }
    return x;
  } catch (error) {
    x.dispose();
    throw error;
  }
};
