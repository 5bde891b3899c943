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
 * x·kernel + bias over the last axis. One seat, which a backend may fuse; no gradients then.
 * @param x [..., in]
 * @returns [..., out]
 * @throws BackendError where the weights are bfloat16, which only a fused kernel reads
 */
export function linear<T extends tf.Tensor>(x: T, weights: LinearWeights): T {
  return fusedLinear({ x }, weights) ?? composedLinear(x, weights);
}

/** The linear, then geluTanh: one seat, which a backend may fuse, with the same numbers bit for bit. Shapes as of linear. */
export function linearGelu<T extends tf.Tensor>(x: T, weights: LinearWeights): T {
  return fusedLinear({ x }, weights, { gelu: true }) ?? tf.tidy(() => geluTanh(composedLinear(x, weights)));
}

function fusedLinear<T extends tf.Tensor>(
  inputs: { readonly x: T; readonly [name: string]: tf.Tensor },
  { kernel, bias, dtype }: LinearWeights,
  attributes: Readonly<Record<string, number | boolean>> = {},
): T | undefined {
  const operands = { ...inputs, kernel, ...(bias && { bias }) };
  return runFused<T>('DeltaDitLinear', operands, { ...attributes, bfloat16: dtype === 'bfloat16' });
}

/** Leading axes are flattened: a 2-D product is the fast path of every backend (WebAssembly leaves it for batched products). */
function composedLinear<T extends tf.Tensor>(x: T, { kernel, bias, dtype }: LinearWeights): T {
  if (dtype !== 'float32') {
    throw new BackendError(
      `linear: ${dtype} weights need the fused ops of the native backend, and ${tf.getBackend()} is running without ` +
        'them. Load the weights as float32, or run `npm run setup-native`.',
    );
  }
  const [inFeatures, outFeatures] = kernel.shape;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [-1, inFeatures]) as tf.Tensor2D;
    const product = tf.fused.matMul({ a: rows, b: kernel, ...(bias && { bias }) });
    return tf.reshape(product, [...x.shape.slice(0, -1), outFeatures]) as tf.Tensor as T;
  });
}
