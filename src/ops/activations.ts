import * as tf from '@tensorflow/tfjs-core';
import { runFused } from './fused.ts';

// √(2/π) and 0.044715: the tanh approximation of GELU (Hendrycks & Gimpel; nn.GELU(approximate="tanh") in DiT models.py)
const GELU_SCALE = 2 * Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** GELU by its tanh approximation, written as x·σ(2u), which equals 0.5·x·(1 + tanh u). A backend may fuse it; no gradients then. */
export function geluTanh<T extends tf.Tensor>(x: T): T {
  const fused = runFused<T>('DeltaDitGelu', { x });
  if (fused) return fused;
  return tf.tidy(() => {
    const slope = tf.add(tf.mul(tf.square(x), GELU_SCALE * GELU_CUBIC), GELU_SCALE);
    return tf.mul(x, tf.sigmoid(tf.mul(x, slope))) as T;
  });
}

/** x·σ(x). */
export function silu<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => tf.mul(x, tf.sigmoid(x)) as T);
}
