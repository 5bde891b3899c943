import * as tf from '@tensorflow/tfjs-core';
import { runFused } from './fused.ts';

/** Σ wᵢ·tensorᵢ, not summed up yet. */
export interface WeightedTensors<T extends tf.Tensor = tf.Tensor> {
  /** Of one shape, at least one. */
  readonly tensors: readonly [T, ...T[]];
  /** One for each. */
  readonly weights: readonly number[];
}

/**
 * Σ wᵢ·tensorᵢ in the order given. One seat, which a backend may fuse; no gradients then. A single weight of 1 gives the
 * tensor's own values, bit for bit.
 * @param terms borrowed
 */
export function weightedSum<T extends tf.Tensor>(terms: WeightedTensors<T>): T {
  const { tensors, weights } = terms;
  if (isOneAsItIs(terms)) return tensors[0].clone();
  if (weights.every((weight) => weight === 0)) return tf.zerosLike(tensors[0]);
  return tf.tidy(() => {
    const parts = Object.fromEntries(tensors.map((tensor, i) => [`part${i}`, tensor]));
    const fused = runFused<T>('DeltaDitWeightedSum', { weights: tf.tensor1d([...weights]), ...parts });
    return fused ?? composed(terms);
  });
}

/** Whether there is nothing to sum. */
export function isOneAsItIs({ tensors, weights }: WeightedTensors): boolean {
  return tensors.length === 1 && weights[0] === 1;
}

function composed<T extends tf.Tensor>({ tensors, weights }: WeightedTensors<T>): T {
  const parts = tensors.map((tensor, i) => (weights[i] === 1 ? tensor : tf.mul(tensor, weights[i] ?? 0)));
  return parts.reduce((sum: tf.Tensor, part) => tf.add(sum, part)) as T;
}
