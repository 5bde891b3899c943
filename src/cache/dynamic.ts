import type * as tf from '@tensorflow/tfjs-core';
import type { BranchName } from '../models/block.ts';
import type { Keeps } from './plan.ts';
import type { PredictorSpec } from './predictors/predictor.ts';
import type { RowTensors } from './row-tensors.ts';

/**
 * One run of a method that decides as it runs. It decides for each row by itself (a row is a sample of a guidance half),
 * from what it reads of that row, so that a picture does not depend on its neighbours in the batch. At most one awaited
 * read a step, unless the method is defined block by block.
 */
export interface DynamicRun {
  readonly keeps: Keeps;
  readonly predictor: PredictorSpec;
  /** Drives the blocks of a step; blocks that it has not passed when it ends are computed. */
  blocks?(step: number, pass: BlockPass): Promise<void>;
  /** Drives the model as a whole, once a step. */
  model?(step: number, pass: ModelPass): Promise<void>;
  /**
   * False at steps that are computed whatever is read: the first one, a warm-up, and the last where the method says so.
   * Where left out, at the first alone.
   */
  mayReuse?(step: number): boolean;
  /** For the report: of each step so far what was read of each row; empty where nothing was. */
  readonly signals?: readonly (readonly number[])[];
}

/** One forward through the blocks, as a method drives it. Rows are those of the model's batch. */
export interface BlockPass {
  readonly depth: number;
  /** N of the tokens. */
  readonly rowCount: number;
  /** The block that comes next. */
  readonly position: number;
  /** Tokens before that block [N,T,D]; borrowed, until the pass moves on. */
  readonly tokens: tf.Tensor3D;
  /** Tensors of the method's own. */
  readonly kept: RowTensors;
  /** What the next block's self-attention reads: adaLN's LayerNorm and modulation of the tokens [N,T,D], fresh. */
  modulatedInput(): tf.Tensor3D;
  /** Computes the blocks up to `to`, that one excluded. */
  compute(to: number): Promise<void>;
  /** Passes the blocks up to `to` as one span: in the rows of `reuse` it is predicted, in the others computed and stored. */
  span(to: number, reuse: readonly boolean[], watch?: BranchWatch): Promise<void>;
  /** Passes the blocks up to `to` with each branch as a site: predicted in the rows of `reuse`, else computed and stored. */
  branches(to: number, reuse: readonly boolean[]): Promise<void>;
  /** What a span up to `to` is predicted to give in some rows that have passed it [rows.length,T,D], fresh. */
  prediction(to: number, rows: readonly number[]): Promise<tf.Tensor3D>;
  /** Some rows of the tokens after the next block [rows.length,T,D], fresh, computed without moving or storing. */
  computeAside(rows: readonly number[]): Promise<tf.Tensor3D>;
}

/** A look at one branch as a span computes it. */
export interface BranchWatch {
  readonly block: number;
  readonly branch: BranchName;
  /** @param added what the branch adds to the tokens, gate included, of the rows computed [rows.length,T,D]; borrowed */
  readonly saw: (added: tf.Tensor3D, rows: readonly number[]) => void;
}

/** One step of the whole model. Rows are the samples: both guidance halves of a sample are one row. */
export interface ModelPass {
  readonly rowCount: number;
  /** Latents that the model is given [N,H,W,C], borrowed. */
  readonly latents: tf.Tensor4D;
  readonly kept: RowTensors;
  /** The guided output [N,H,W,C], borrowed for the step: predicted in the rows of `reuse`, else computed and stored. Once. */
  run(reuse: readonly boolean[]): Promise<tf.Tensor4D>;
}
