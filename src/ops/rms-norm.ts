import * as tf from '@tensorflow/tfjs-core';

/**
 * RMSNorm (arXiv 1910.07467): x / √(mean(x²) + eps) · weight over the last axis; no mean is subtracted.
 * @param x [N,T,D]
 * @param weight [D]
 * @returns [N,T,D]
 */
export function rmsNorm(x: tf.Tensor3D, weight: tf.Tensor1D, eps: number): tf.Tensor3D {
  return tf.tidy(() => {
    const meanSquare = tf.mean(tf.square(x), -1, true); // [N,T,1]
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, eps))), weight);
  });
}
