import * as tf from '@tensorflow/tfjs-core';
import { silu } from './activations.ts';

/**
 * GroupNorm over contiguous channel groups: statistics jointly over H, W and the channels of a group.
 * @param x [N,H,W,C]
 * @param weight [C]
 * @param bias [C]
 * @returns [N,H,W,C]
 */
export function groupNorm(
  x: tf.Tensor4D,
  numGroups: number,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D,
  eps: number,
): tf.Tensor4D {
  const [n, height, width, channels] = x.shape;
  return tf.tidy(() => {
    const groups = tf.reshape(x, [n, height * width, numGroups, channels / numGroups]);
    const centred = tf.sub(groups, tf.mean(groups, [1, 3], true));
    const variance = tf.mean(tf.square(centred), [1, 3], true); // [N,1,G,1]
    const normalised = tf.reshape(tf.mul(centred, tf.rsqrt(tf.add(variance, eps))), [n, height, width, channels]);
    return tf.add(tf.mul(normalised, weight), bias) as tf.Tensor4D;
  });
}

/** GroupNorm, then SiLU: one seat, which a backend may fuse. Shapes as of groupNorm. */
export function groupNormSilu(
  x: tf.Tensor4D,
  numGroups: number,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D,
  eps: number,
): tf.Tensor4D {
  return tf.tidy(() => silu(groupNorm(x, numGroups, weight, bias, eps)));
}
