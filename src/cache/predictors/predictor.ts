import type * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../../errors.ts';
import type { WeightedTensors } from '../../ops/weighted-sum.ts';
import type { AffineCorrection } from './affine.ts';
import type { ChebyshevOptions } from './chebyshev.ts';

/**
 * The "what" of a cache method: from what a site gave at the last computed steps, what it would give now. The abscissa
 * is the step index, 0… from noise.
 */
export type Predictor = LinearPredictor | TensorPredictor;

/** What a site gave at a computed step. */
export interface Snapshot<T extends tf.Tensor = tf.Tensor> {
  /** 0… from noise. */
  readonly step: number;
  readonly tensor: T;
}

/** A fixed combination of stored tensors, `weightedTensors`: whoever takes it sums them in one pass. */
export interface LinearPredictor {
  /** Shown in reports, as `parsePredictor` reads it. */
  readonly name: string;
  /** Snapshots it looks at, at most. */
  readonly history: number;
  /**
   * @param past steps of the snapshots, newest first, at least one, at most `history`
   * @param at the step predicted
   * @returns one weight for each of `past`
   */
  weights(past: readonly number[], at: number): readonly number[];
}

/** A prediction that must look at the values. */
export interface TensorPredictor {
  readonly name: string;
  readonly history: number;
  /**
   * Per row of N, so that the rows of a batch never mix.
   * @param past snapshots [N,…] newest first, borrowed; at least one, at most `history`
   * @param at the step predicted
   * @returns a fresh tensor [N,…] of the shape of the newest; a promise where values must be read to fit them
   */
  predict(past: readonly Snapshot[], at: number): tf.Tensor | Promise<tf.Tensor>;
}

/** Serialisable: what a plan names. `predictorOf` makes it, `parsePredictor` reads it from text. */
export type PredictorSpec =
  | { readonly name: 'hold' | 'foca' | 'dmd' }
  | { readonly name: 'taylor' | 'newton' | 'adams-bashforth'; readonly order: number }
  | { readonly name: 'hermite'; readonly order: number; readonly scale?: number }
  | ({ readonly name: 'chebyshev'; readonly degree: number } & ChebyshevOptions)
  | { readonly name: 'affine'; readonly corrections: readonly AffineCorrection[] };

export function isLinear(predictor: Predictor): predictor is LinearPredictor {
  return 'weights' in predictor;
}

/**
 * Σ wᵢ·tensorᵢ of snapshots, those of weight 0 left out.
 * @param past [N,…] of one shape, borrowed
 * @param weights one for each of `past`
 * @throws OptionError when their numbers differ or no snapshot is given.
 */
export function weightedTensors(past: readonly Snapshot[], weights: readonly number[]): WeightedTensors {
  const [newest] = past;
  if (newest === undefined || past.length !== weights.length) {
    throw new OptionError(
      `predictor: expected one weight for each snapshot, at least one; got ${weights.length} for ${past.length}; mend the predictor's weights()`,
    );
  }
  const weighted = past.flatMap(({ tensor }, i) => (weights[i] ? [{ tensor, weight: weights[i] }] : []));
  const [first, ...others] = weighted.map(({ tensor }) => tensor);
  if (!first) return { tensors: [newest.tensor], weights: [0] };
  return { tensors: [first, ...others], weights: weighted.map(({ weight }) => weight) };
}
