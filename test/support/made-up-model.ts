import * as tf from '@tensorflow/tfjs-core';
import type { ModelOutput } from '../../src/schedulers/sampler.ts';

/** The model of test/fixtures/make_samplers.py: smooth, and the same for each element. */
export function madeUpModel(x: tf.Tensor4D, t: number, learned: boolean): ModelOutput {
  const eps = tf.tidy(() => tf.add(tf.mul(x, 0.1), Math.sin(t)) as tf.Tensor4D);
  if (!learned) return { eps };
  // beyond ±1 in places, as f is not clamped
  return { eps, variance: tf.tidy(() => tf.add(tf.sin(tf.mul(x, 3)), 0.3) as tf.Tensor4D) };
}
