import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';

/** mean|now − before| of each row of [N, …]; of `now` alone, mean|now|. @returns [N], fresh */
export function meanChange(now: tf.Tensor, before?: tf.Tensor): tf.Tensor1D {
  return tf.tidy(() => {
    const axes = now.shape.slice(1).map((_, axis) => axis + 1);
    return tf.mean(tf.abs(before ? tf.sub(now, before) : now), axes);
  });
}

/**
 * mean|now − before| ÷ mean|before| of each row: the relative L1 change that threshold methods go by.
 * @param now [N, …]
 * @param before [N, …]
 * @returns [N], fresh
 */
export function relativeChange(now: tf.Tensor, before: tf.Tensor): tf.Tensor1D {
  return tf.tidy(() => tf.div(meanChange(now, before), meanChange(before)));
}

/** Reads a tensor [N] and frees it. */
export async function readRows(values: tf.Tensor1D): Promise<number[]> {
  try {
    return Array.from(await readTensor(values));
  } finally {
    values.dispose();
  }
}
