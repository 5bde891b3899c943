import * as tf from '@tensorflow/tfjs-core';

/**
 * x·kernel + bias over the last axis. Leading axes are flattened: a 2-D product is the fast path of every backend
 * (WebAssembly leaves it for batched products).
 * @param x [..., in]
 * @param kernel [in, out]
 * @param bias [out]
 * @returns [..., out]
 */
export function linear<T extends tf.Tensor>(x: T, kernel: tf.Tensor2D, bias?: tf.Tensor1D): T {
  const [inFeatures, outFeatures] = kernel.shape;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [-1, inFeatures]) as tf.Tensor2D;
    const product = tf.fused.matMul({ a: rows, b: kernel, ...(bias ? { bias } : {}) });
    return tf.reshape(product, [...x.shape.slice(0, -1), outFeatures]) as tf.Tensor as T;
  });
}
