import type * as tf from '@tensorflow/tfjs-core';
import type { BlockRunner } from '../models/block.ts';

/** What one run has kept and done so far. Blocks are those of one row; a branch counts for its share of a block. */
export interface CacheCounts {
  /** On average over the rows. */
  readonly blocksComputed: number;
  readonly blocksReused: number;
  /** Blocks computed at each step so far, on average over the rows. */
  readonly stepBlocks: readonly number[];
  /** The most bytes that were kept at once. */
  readonly peakCachedBytes: number;
  /** Of a method that decides as it runs: at each step what it read of each row; empty where nothing was read. */
  readonly signals?: readonly (readonly number[])[];
}

/** Computes the guided output of some samples [R,H,W,C], fresh; of all where `rows` is left out. Borrows the latents. */
export type ComputeModel = (latents: tf.Tensor4D, rows?: readonly number[]) => Promise<tf.Tensor4D>;

/** The state of one sampling run under a cache method. Made for the run, disposed with it. */
export interface RunCache {
  /** Blocks of the model. */
  readonly depth: number;
  /** The runner of one step's blocks. */
  atStep(step: number): BlockRunner;
  /** The guided output of a step [N,H,W,C], fresh: of `compute`, which runs the blocks, or predicted. */
  output(step: number, latents: tf.Tensor4D, compute: ComputeModel): Promise<tf.Tensor4D>;
  readonly counts: CacheCounts;
  dispose(): void;
}
