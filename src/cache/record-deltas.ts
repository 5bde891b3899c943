import * as tf from '@tensorflow/tfjs-core';
import type { Block, BlockRunner, Branch, Modulation } from '../models/block.ts';
import { residual } from './delta.ts';

/** A block that also keeps the residual of its last evaluation. */
export interface RecordedBlock<C, M extends Modulation = Modulation> extends Block<C, M> {
  /** The residual [N,T,D] of the last evaluation, handed over; undefined when it was not evaluated since. */
  takeDelta(): tf.Tensor3D | undefined;
  /** Frees what is kept. */
  dispose(): void;
}

/** Wraps a block with the same interface; it records h_out − h_in each time its branches have run. */
export function recordDeltas<C, M extends Modulation>(block: Block<C, M>): RecordedBlock<C, M> {
  let hIn: tf.Tensor3D | undefined;
  let delta: tf.Tensor3D | undefined;
  const last = block.branches.length - 1;

  const recorded = (index: number, x: tf.Tensor3D, join: () => tf.Tensor3D): tf.Tensor3D => {
    if (index === 0) {
      hIn?.dispose();
      hIn = tf.keep(x.clone()); // a runner may free its own handle before the last branch
    }
    const out = join();
    if (index === last && hIn) {
      delta?.dispose();
      delta = tf.keep(residual(out, hIn));
      hIn.dispose();
      hIn = undefined;
    }
    return out;
  };
  const branches = block.branches.map(
    (branch, index): Branch<M> => ({
      name: branch.name,
      raw: (x, mod, hooks) => branch.raw(x, mod, hooks),
      merge: (x, raw, mod) => recorded(index, x, () => branch.merge(x, raw, mod)),
      apply: (x, mod) => recorded(index, x, () => branch.apply(x, mod)),
    }),
  );
  return {
    modulation: (cond) => block.modulation(cond),
    rows: (cond, rows) => block.rows(cond, rows),
    branches,
    takeDelta() {
      const taken = delta;
      delta = undefined;
      return taken;
    },
    dispose() {
      tf.dispose([hIn, delta].filter((tensor) => tensor !== undefined));
      hIn = undefined;
      delta = undefined;
    },
  };
}

/**
 * The residual of one block at one evaluation of the model; `delta` [N,T,D] is borrowed for the call. N is that of the last
 * batch that ran through the block: under methods that decide row by row some rows may be left out.
 */
export interface BlockDelta {
  readonly block: number;
  readonly delta: tf.Tensor3D;
}

/**
 * A runner that reports the residual of every block that `run` evaluates, once its last block has run. Until then it
 * holds one residual [N,T,D] a block: blocks run synchronously inside `run`, where no listener could be awaited. A
 * runner of your own can look at each residual as it comes and keep none.
 */
export function reportDeltas(run: BlockRunner, onDelta: (delta: BlockDelta) => void | Promise<void>): BlockRunner {
  return async (blocks, tokens, cond) => {
    const recorded = blocks.map((block) => recordDeltas(block));
    let out: tf.Tensor3D | undefined;
    try {
      out = await run(recorded, tokens, cond);
      for (const [block, one] of recorded.entries()) {
        const delta = one.takeDelta();
        if (!delta) continue;
        try {
          await onDelta({ block, delta });
        } finally {
          delta.dispose();
        }
      }
      return out;
    } catch (error) {
      out?.dispose();
      throw error;
    } finally {
      for (const one of recorded) one.dispose();
    }
  };
}
