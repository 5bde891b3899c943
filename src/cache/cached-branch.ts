import * as tf from '@tensorflow/tfjs-core';
import type { Block, Branch, Modulation } from '../models/block.ts';

/** The same block with other branches; its modulation, and so every gate, stays that of the current step. */
export function replaceBranches<C, M extends Modulation>(
  block: Block<C, M>,
  replace: (branch: Branch<M>) => Branch<M>,
): Block<C, M> {
  return {
    modulation: (cond) => block.modulation(cond),
    rows: (cond, rows) => block.rows(cond, rows),
    branches: block.branches.map(replace),
  };
}

/** A branch whose output before the gate is handed on each time. @param store takes a tensor that is its own */
export function storedBranch<M extends Modulation>(branch: Branch<M>, store: (raw: tf.Tensor3D) => void): Branch<M> {
  return {
    ...branch,
    apply: (x, mod) =>
      tf.tidy(() => {
        const raw = branch.raw(x, mod); // [N,T,D]
        store(raw.clone());
        return branch.merge(x, raw, mod);
      }),
  };
}

/** A branch that is not computed. @param raw its output before the gate [N,T,D], borrowed */
export function predictedBranch<M extends Modulation>(branch: Branch<M>, raw: tf.Tensor3D): Branch<M> {
  return { ...branch, apply: (x, mod) => branch.merge(x, raw, mod) };
}

/** A branch that shows what it adds to the tokens, gate included. @param saw borrows the tensor [N,T,D] */
export function watchedBranch<M extends Modulation>(branch: Branch<M>, saw: (added: tf.Tensor3D) => void): Branch<M> {
  return {
    ...branch,
    apply: (x, mod) =>
      tf.tidy(() => {
        const out = branch.apply(x, mod);
        saw(tf.sub(out, x));
        return out;
      }),
  };
}
