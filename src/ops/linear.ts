import * as tf from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../checkpoint/hold.ts';
import { BackendError } from '../errors.ts';
import { geluTanh, silu } from './activations.ts';
import { runFused } from './fused.ts';
import { joinResidual, layerNormModulate, type ModulatedNorm, type Residual } from './layer-norm.ts';

/** What a linear multiplies by and adds, as its layer holds it. */
export interface LinearWeights {
  /** float32 [in,out]; of 16 bits [in,out/2], whose bytes are the elements, row-major. */
  readonly kernel: tf.Tensor2D;
  /** [out], float32 */
  readonly bias?: tf.Tensor1D | undefined;
  readonly dtype: WeightDtype;
}

/**
 * x·kernel + bias over the last axis. One seat, which a backend may fuse; no gradients then.
 * @param x [..., in]
 * @returns [..., out]
 * @throws BackendError where the weights are of 16 bits, which only a fused kernel reads
 */
export function linear<T extends tf.Tensor>(x: T, weights: LinearWeights): T {
  return fusedLinear({ x }, weights) ?? composedLinear(x, weights);
}

/** The linear, then geluTanh: one seat, which a backend may fuse, with the same numbers bit for bit. Shapes as of linear. */
export function linearGelu<T extends tf.Tensor>(x: T, weights: LinearWeights): T {
  return fusedLinear({ x }, weights, { gelu: true }) ?? tf.tidy(() => geluTanh(composedLinear(x, weights)));
}

/**
 * LayerNorm and modulation, then the linear. A seat like it, with the same numbers as the two bit for bit.
 * @param x [N,T,D]
 * @returns [N,T,out]
 */
export function normLinear(x: tf.Tensor3D, { shift, scale, eps }: ModulatedNorm, weights: LinearWeights): tf.Tensor3D {
  const fused = fusedLinear({ x, shift, scale }, weights, { eps });
  return fused ?? tf.tidy(() => composedLinear(layerNormModulate(x, shift, scale, eps), weights));
}

/** normLinear, then geluTanh. */
export function normLinearGelu(x: tf.Tensor3D, norm: ModulatedNorm, weights: LinearWeights): tf.Tensor3D {
  const { shift, scale, eps } = norm;
  const fused = fusedLinear({ x, shift, scale }, weights, { eps, gelu: true });
  return fused ?? tf.tidy(() => geluTanh(composedLinear(layerNormModulate(x, shift, scale, eps), weights)));
}

/**
 * The linear, then what its output is added to: how a residual branch ends. A seat like it, with the same numbers as the
 * linear and `joinResidual` bit for bit.
 * @param y [N,T,in]
 * @returns [N,T,D]
 */
export function linearResidual(y: tf.Tensor3D, weights: LinearWeights, residual: Residual): tf.Tensor3D {
  const { x, gate } = residual;
  const fused = fusedLinear({ x: y, residual: x, ...(gate && { gate }) }, weights);
  return fused ?? tf.tidy(() => joinResidual(composedLinear(y, weights), residual));
}

/**
 * adaLN's modulation: the linear of silu(c), in `parts` vectors of one width. A seat as the others.
 * @param c [N,in]
 * @param weights with a bias
 * @returns `parts` of [N,out/parts]
 */
export function adaLNVectors(c: tf.Tensor2D, weights: LinearWeights, parts: number): tf.Tensor2D[] {
  const { kernel, bias, dtype } = weights;
  const operands = { c, kernel, ...(bias && { bias }) };
  const fused = runFused<tf.Tensor2D[]>('DeltaDitAdaLN', operands, { parts, dtype });
  return fused ?? tf.tidy(() => tf.split(composedLinear(silu(c), weights), parts, 1));
}

function fusedLinear<T extends tf.Tensor>(
  inputs: { readonly x: T; readonly [name: string]: tf.Tensor },
  { kernel, bias, dtype }: LinearWeights,
  attributes: Readonly<Record<string, number | boolean>> = {},
): T | undefined {
  const operands = { ...inputs, kernel, ...(bias && { bias }) };
  return runFused<T>('DeltaDitLinear', operands, { ...attributes, dtype });
}

/** Leading axes are flattened: a 2-D product is the fast path of every backend (WebAssembly leaves it for batched products). */
function composedLinear<T extends tf.Tensor>(x: T, { kernel, bias, dtype }: LinearWeights): T {
  if (dtype !== 'float32') {
    throw new BackendError(
      `linear: ${dtype} weights need a fused op, and ${tf.getBackend()} is running without it. ` +
        'Load the model again on this backend, as float32.',
    );
  }
  const [inFeatures, outFeatures] = kernel.shape;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [-1, inFeatures]) as tf.Tensor2D;
    const product = tf.fused.matMul({ a: rows, b: kernel, ...(bias && { bias }) });
    return tf.reshape(product, [...x.shape.slice(0, -1), outFeatures]) as tf.Tensor as T;
  });
}
