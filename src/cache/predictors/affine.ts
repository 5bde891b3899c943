import * as tf from '@tensorflow/tfjs-core';
import { OptionError, ShapeError } from '../../errors.ts';
import type { TensorPredictor } from './predictor.ts';

/** What a calibration found for one predicted step, per channel, the last axis. */
export interface AffineCorrection {
  readonly step: number;
  /** a [C] */
  readonly scale: readonly number[];
  /** b [C] */
  readonly shift: readonly number[];
}

/**
 * CacheQuant's correction of a held output (arXiv 2503.01323, github.com/BienLuky/CacheQuant): ŷ = a ⊙ y₁ + b, with a
 * and b per channel and per predicted step, fitted by least squares beforehand.
 * @throws OptionError when a step has scales and shifts of different numbers, or none.
 */
export function affine(corrections: readonly AffineCorrection[]): TensorPredictor {
  for (const { step, scale, shift } of corrections) {
    if (scale.length === 0 || scale.length !== shift.length) {
      throw new OptionError(
        `predictor affine: expected one scale and one shift a channel, got ${scale.length} and ${shift.length} at step ${step}; calibrate again`,
      );
    }
  }
  return {
    name: 'affine',
    history: 1,
    predict([newest], at) {
      const correction = corrections.find(({ step }) => step === at);
      if (newest === undefined || correction === undefined) {
        const steps = corrections.map(({ step }) => step).join(', ');
        throw new OptionError(
          `predictor affine: no correction for step ${at}, only for ${steps}; calibrate for this plan`,
        );
      }
      return correct(newest.tensor, correction);
    },
  };
}

function correct(tensor: tf.Tensor, { step, scale, shift }: AffineCorrection): tf.Tensor {
  const channels = tensor.shape[tensor.rank - 1] ?? 1;
  if (channels !== scale.length) {
    throw new ShapeError(
      `predictor affine: expected ${scale.length} channels, as calibrated, at step ${step}; got [${tensor.shape.join(', ')}]; calibrate with this model`,
    );
  }
  return tf.tidy(() => tf.add(tf.mul(tensor, tf.tensor1d([...scale])), tf.tensor1d([...shift])));
}
