import * as tf from '@tensorflow/tfjs-core';
import type { BranchEnds } from '../layers/branch-ends.ts';
import type { BranchHooks } from '../layers/hooks.ts';
import { type BlockOutputs, type BranchExchange, type BranchName, NOTHING } from '../ops/block.ts';
import { joinResidual } from '../ops/layer-norm.ts';
import { weightedSum } from '../ops/weighted-sum.ts';

export type { BlockOutputs, BranchExchange, BranchName };

/** What a block's adaLN makes of the conditioning, once per step. All [N,D]. */
export interface Modulation {
  readonly shiftMsa: tf.Tensor2D;
  readonly scaleMsa: tf.Tensor2D;
  readonly gateMsa: tf.Tensor2D;
  readonly shiftMlp: tf.Tensor2D;
  readonly scaleMlp: tf.Tensor2D;
  readonly gateMlp: tf.Tensor2D;
}

/** One residual branch of a block; `M` is what the block's modulation gives. Inputs are borrowed, results are fresh. */
export interface Branch<M extends Modulation = Modulation> {
  readonly name: BranchName;
  /** The branch before its gate, biases included: [N,T,D] → [N,T,D]. */
  raw(x: tf.Tensor3D, mod: M, hooks?: BranchHooks): tf.Tensor3D;
  /** x + gate·raw; x + raw where the branch has no gate. */
  merge(x: tf.Tensor3D, raw: tf.Tensor3D, mod: M): tf.Tensor3D;
  /** Equals `merge(x, raw(x, mod), mod)`; what runners call unless they record or replace `raw`. */
  apply(x: tf.Tensor3D, mod: M): tf.Tensor3D;
}

/**
 * A transformer block as a runner sees it. `C` is the model's conditioning and `M` what the block makes of it, for all
 * its branches; a runner only passes them on.
 */
export interface Block<C, M extends Modulation = Modulation> {
  modulation(cond: C): M;
  /** The conditioning of some rows of the batch, every tensor of it fresh. */
  rows(cond: C, rows: readonly number[]): C;
  readonly branches: readonly Branch<M>[];
  /**
   * All branches at once: the numbers of `modulation` and `apply` bit for bit, fresh. Undefined where the backend has no op
   * for it. Absent where branches are watched or replaced.
   */
  whole?(x: tf.Tensor3D, cond: C, exchange?: BranchExchange): BlockOutputs | undefined;
}

/**
 * How a model's blocks are run: the seam between models and caches. Borrows `tokens` [N,T,D] and `cond`, gives fresh
 * tokens [N,T,D]. A promise, so that a runner may await a value in mid-forward.
 */
export type BlockRunner = <C, M extends Modulation>(
  blocks: readonly Block<C, M>[],
  tokens: tf.Tensor3D,
  cond: C,
) => Promise<tf.Tensor3D>;

/**
 * What the layers of a branch compute: [N,T,D] → [N,T,D], added to `residual` where there is one. They are given hooks or
 * a residual, never both.
 */
export type BranchLayers<M extends Modulation> = (
  x: tf.Tensor3D,
  mod: M,
  options: BranchHooks & Pick<BranchEnds, 'residual'>,
) => tf.Tensor3D;

/** A branch x + gate·layers(x), the gate picked from the modulation. */
export function gatedBranch<M extends Modulation>(
  name: BranchName,
  gate: (mod: M) => tf.Tensor2D,
  layers: BranchLayers<M>,
): Branch<M> {
  return {
    name,
    raw: (x, mod, hooks = {}) => layers(x, mod, hooks),
    merge: (x, raw, mod) => joinResidual(raw, { x, gate: gate(mod) }),
    apply: (x, mod) => layers(x, mod, { residual: { x, gate: gate(mod) } }),
  };
}

/** A branch x + layers(x), without a gate. */
export function plainBranch<M extends Modulation>(name: BranchName, layers: BranchLayers<M>): Branch<M> {
  return {
    name,
    raw: (x, mod, hooks = {}) => layers(x, mod, hooks),
    merge: (x, raw) => joinResidual(raw, { x }),
    apply: (x, mod) => layers(x, mod, { residual: { x } }),
  };
}

/** Computes one block, in one op or one tidy. */
export function runBlock<C, M extends Modulation>(block: Block<C, M>, tokens: tf.Tensor3D, cond: C): tf.Tensor3D {
  return runBranches(block, tokens, cond, NOTHING).tokens;
}

/** As runBlock, but for the outputs of branches that it is given, and those that it is asked for. */
export function runBranches<C, M extends Modulation>(
  block: Block<C, M>,
  tokens: tf.Tensor3D,
  cond: C,
  exchange: BranchExchange,
): BlockOutputs {
  const whole = block.whole?.(tokens, cond, exchange);
  if (whole) return whole;
  const { given, asked } = exchange;
  const handed: BranchName[] = [];
  const [last, ...raws] = tf.tidy(() => {
    const mod = block.modulation(cond);
    const kept: tf.Tensor3D[] = [];
    const out = block.branches.reduce((x, branch) => {
      const taken = given.get(branch.name);
      if (taken) return branch.merge(x, weightedSum(taken), mod);
      if (!asked.includes(branch.name)) return branch.apply(x, mod);
      const raw = branch.raw(x, mod);
      handed.push(branch.name);
      kept.push(raw);
      return branch.merge(x, raw, mod);
    }, tokens.clone()); // [N,T,D]
    return [out, ...kept];
  }) as [tf.Tensor3D, ...tf.Tensor3D[]];
  return { tokens: last, raw: new Map(handed.map((name, i) => [name, raws[i] as tf.Tensor3D])) };
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
