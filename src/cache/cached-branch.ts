import * as tf from '@tensorflow/tfjs-core';
import { type Block, type Branch, type BranchName, type Modulation, runBranches } from '../models/block.ts';
import type { Prediction } from './site-history.ts';
import type { SiteStore } from './site-store.ts';

/** What becomes of the branches of a block at a step; the others are computed. */
export interface BranchPlan {
  readonly step: number;
  /** The block's place. */
  readonly index: number;
  readonly reuse: readonly BranchName[];
  readonly record: readonly BranchName[];
  /** Those of the batch that `x` is of, ascending; all where left out. */
  readonly rows?: readonly number[];
}

/** Runs a block some of whose branches are predicted from the store, or stored in it. @returns fresh tokens */
export async function runCachedBranches<C, M extends Modulation>(
  block: Block<C, M>,
  x: tf.Tensor3D,
  cond: C,
  { step, index, reuse, record, rows }: BranchPlan,
  store: SiteStore,
): Promise<tf.Tensor3D> {
  const site = (branch: BranchName) => ({ kind: 'branch', block: index, branch }) as const;
  const given = new Map<BranchName, Prediction<tf.Tensor3D>>();
  try {
    for (const name of reuse) given.set(name, await store.prediction<tf.Tensor3D>(site(name), step, rows));
    const asked = record.filter((name) => !given.has(name));
    const { tokens, raw } = runBranches(block, x, cond, { given, asked });
    for (const [name, output] of raw) store.put(site(name), step, output, rows);
    return tokens;
  } finally {
    for (const prediction of given.values()) prediction.dispose();
  }
}

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
