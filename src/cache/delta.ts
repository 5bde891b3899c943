import * as tf from '@tensorflow/tfjs-core';

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
