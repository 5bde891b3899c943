import type * as tf from '@tensorflow/tfjs-core';
import type { Linear } from './linear.ts';

/** What a cache method may replace inside a residual branch. Each hook gets the input and how to compute. */
export interface BranchHooks {
  /** Around a linear, by its name in the checkpoint (`qkv`, `q_linear`, `kv_linear`, `proj`, `fc1`, `fc2`). */
  readonly linear?: (name: string, input: tf.Tensor3D, compute: () => tf.Tensor3D) => tf.Tensor3D;
  /** Around the attention product, between the projections. The input: q | k | v, or the q of cross-attention. */
  readonly attention?: (input: tf.Tensor3D, compute: () => tf.Tensor3D) => tf.Tensor3D;
}

export function hookedLinear(hooks: BranchHooks, name: string, layer: Linear, input: tf.Tensor3D): tf.Tensor3D {
  const compute = () => layer.call(input);
  return hooks.linear ? hooks.linear(name, input, compute) : compute();
}
