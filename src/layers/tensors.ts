import type * as tf from '@tensorflow/tfjs-core';

/** tfjs hands a layer's inputs over as a tensor or as a list of one. The rank is the caller's claim. */
export function single<T extends tf.Tensor>(inputs: tf.Tensor | readonly tf.Tensor[]): T {
  return (Array.isArray(inputs) ? inputs[0] : inputs) as T;
}

/** `inputShape` with another last dimension. */
export function outputShape(inputShape: readonly (number | null)[], features: number): (number | null)[] {
  return [...inputShape.slice(0, -1), features];
}
