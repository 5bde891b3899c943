import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../errors.ts';
import { geluTanh } from './activations.ts';
import { runFused } from './fused.ts';

/** What a linear multiplies by and adds, as its layer holds it. */
export interface LinearWeights {
  /** float32 [in,out]; as bfloat16 a float32-typed [in,out/2] whose bytes are the bfloat16 elements, row-major. */
  readonly kernel: tf.Tensor2D;
  /** [out], float32 */
  readonly bias?: tf.Tensor1D | undefined;
  readonly dtype: 'float32' | 'bfloat16';
}

/**
 * x·kernel + bias over the last axis. Leading axes are flattened: a 2-D product is the fast path of every backend
 * (WebAssembly leaves it for batched products). One seat, which a backend may fuse; no gradients then.
 * @param x [..., in]
 * @returns [..., out]
 * @throws BackendError where the weights are bfloat16, which only a fused kernel reads
 */
export function linear<T extends tf.Tensor>(x: T, weights: LinearWeights): T {
  return onRows(x, weights, (rows) => runLinear(rows, weights, false) ?? product(rows, weights));
}

/** The linear, then geluTanh: one seat, which a backend may fuse, with the same numbers bit for bit. Shapes as of linear. */
export function linearGelu<T extends tf.Tensor>(x: T, weights: LinearWeights): T {
  return onRows(x, weights, (rows) => runLinear(rows, weights, true) ?? geluTanh(product(rows, weights)));
}

function runLinear(x: tf.Tensor2D, { kernel, bias, dtype }: LinearWeights, gelu: boolean): tf.Tensor2D | undefined {
  const inputs = { x, kernel, ...(bias && { bias }) };
  return runFused<tf.Tensor2D>('DeltaDitLinear', inputs, { gelu, bfloat16: dtype === 'bfloat16' });
}

function product(a: tf.Tensor2D, { kernel: b, bias, dtype }: LinearWeights): tf.Tensor2D {
  if (dtype !== 'float32') {
    throw new BackendError(
      `linear: ${dtype} weights need the fused ops of the native backend, and ${tf.getBackend()} is running without ` +
        'them. Load the weights as float32, or run `npm run setup-native`.',
    );
  }
  return tf.fused.matMul({ a, b, ...(bias && { bias }) }) as tf.Tensor2D;
}

function onRows<T extends tf.Tensor>(
  x: T,
  { kernel, dtype }: LinearWeights,
  product: (rows: tf.Tensor2D) => tf.Tensor2D,
): T {
  const [inFeatures, columns] = kernel.shape;
  const outFeatures = dtype === 'bfloat16' ? 2 * columns : columns;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [-1, inFeatures]) as tf.Tensor2D;
    return tf.reshape(product(rows), [...x.shape.slice(0, -1), outFeatures]) as tf.Tensor as T;
  });
}
