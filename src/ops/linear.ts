import * as tf from '@tensorflow/tfjs-core';
import { geluTanh } from './activations.ts';
import { runFused } from './fused.ts';

/**
 * x·kernel + bias over the last axis. Leading axes are flattened: a 2-D product is the fast path of every backend
 * (WebAssembly leaves it for batched products). One seat, which a backend may fuse; no gradients then.
 * @param x [..., in]
 * @param kernel [in, out]
 * @param bias [out]
 * @returns [..., out]
 */
export function linear<T extends tf.Tensor>(x: T, kernel: tf.Tensor2D, bias?: tf.Tensor1D): T {
  return onRows(x, kernel, (rows) => {
    const fused = runFused<tf.Tensor2D>('DeltaDitLinear', { x: rows, kernel, ...(bias && { bias }) }, { gelu: false });
    return fused ?? (tf.fused.matMul({ a: rows, b: kernel, ...(bias ? { bias } : {}) }) as tf.Tensor2D);
  });
}

/** The linear, then geluTanh: one seat, which a backend may fuse, with the same numbers bit for bit. Shapes as of linear. */
export function linearGelu<T extends tf.Tensor>(x: T, kernel: tf.Tensor2D, bias: tf.Tensor1D): T {
  return onRows(x, kernel, (rows) => {
    const fused = runFused<tf.Tensor2D>('DeltaDitLinear', { x: rows, kernel, bias }, { gelu: true });
    return fused ?? geluTanh(tf.fused.matMul({ a: rows, b: kernel, bias }) as tf.Tensor2D);
  });
}

function onRows<T extends tf.Tensor>(x: T, kernel: tf.Tensor2D, product: (rows: tf.Tensor2D) => tf.Tensor2D): T {
  const [inFeatures, outFeatures] = kernel.shape;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [-1, inFeatures]) as tf.Tensor2D;
    return tf.reshape(product(rows), [...x.shape.slice(0, -1), outFeatures]) as tf.Tensor as T;
  });
}
