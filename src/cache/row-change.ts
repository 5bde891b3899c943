import * as tf from '@tensorflow/tfjs-core';

/**
 * mean|now − before| ÷ mean|before| of each row: the relative L1 change that threshold methods go by.
 * @param now [N, …]
 * @param before [N, …]
 * @returns [N], fresh
 */
export function relativeChange(now: tf.Tensor, before: tf.Tensor): tf.Tensor1D {
  return tf.tidy(() => {
    const axes = now.shape.slice(1).map((_, axis) => axis + 1);
    const change = tf.mean(tf.abs(tf.sub(now, before)), axes);
    return tf.div(change, tf.mean(tf.abs(before), axes)) as tf.Tensor1D;
  });
}

/** Reads a tensor [N] and frees it. */
export async function readRows(values: tf.Tensor1D): Promise<number[]> {
  try {
    return Array.from(await values.data());
  } finally {
    values.dispose();
  }
}
