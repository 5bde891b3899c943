import * as tf from '@tensorflow/tfjs-core';
import { isOneAsItIs, type WeightedTensors, weightedSum } from '../ops/weighted-sum.ts';

/**
 * Δ of a run of blocks: Δ = h_out − h_in (Δ-DiT, arXiv 2406.01125, §3).
 * @param hOut [N,T,D]
 * @param hIn [N,T,D]
 */
export function residual(hOut: tf.Tensor3D, hIn: tf.Tensor3D): tf.Tensor3D {
  return tf.sub(hOut, hIn);
}

/** A cached step's h_out: the current h_in + Δ. */
export function addResidual(hIn: tf.Tensor3D, delta: tf.Tensor3D): tf.Tensor3D {
  return tf.add(hIn, delta);
}

/** The same of a Δ that is predicted: h_in + Σ wᵢ·Δᵢ, in one pass. */
export function addPrediction(hIn: tf.Tensor3D, delta: WeightedTensors<tf.Tensor3D>): tf.Tensor3D {
  if (isOneAsItIs(delta)) return addResidual(hIn, delta.tensors[0]);
  return weightedSum({ tensors: [hIn, ...delta.tensors], weights: [1, ...delta.weights] });
}
