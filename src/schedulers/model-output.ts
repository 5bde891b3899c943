import * as tf from '@tensorflow/tfjs-core';

/** What a model's output stands for. */
export type PredictionType = 'epsilon' | 'v_prediction' | 'sample';

/** x = signal·x0 + noise·ε: √ᾱ and √(1 − ᾱ) of a timestep. */
export interface NoiseLevel {
  readonly signal: number;
  readonly noise: number;
}

/** Of ᾱ; 1 − ᾱ is rounded to float32 as diffusers does: early steps multiply its last bit by 1/√ᾱ ≈ 150. */
export function noiseLevel(alpha: number): NoiseLevel {
  return { signal: Math.sqrt(alpha), noise: Math.sqrt(Math.fround(1 - alpha)) };
}

/** The image x0 that a model's output predicts [N,H,W,C]; for a `sample` prediction the output itself. */
export function predictXStart(
  type: PredictionType,
  output: tf.Tensor4D,
  x: tf.Tensor4D,
  { signal, noise }: NoiseLevel,
): tf.Tensor4D {
  if (type === 'sample') return output;
  if (type === 'epsilon') return tf.div(tf.sub(x, tf.mul(output, noise)), signal);
  return tf.sub(tf.mul(x, signal), tf.mul(output, noise));
}

/** The noise ε that a model's output predicts [N,H,W,C]; for an `epsilon` prediction the output itself. */
export function predictEps(
  type: PredictionType,
  output: tf.Tensor4D,
  x: tf.Tensor4D,
  { signal, noise }: NoiseLevel,
): tf.Tensor4D {
  if (type === 'epsilon') return output;
  if (type === 'sample') return tf.div(tf.sub(x, tf.mul(output, signal)), noise);
  return tf.add(tf.mul(output, signal), tf.mul(x, noise));
}

/** Clipping of x0 in pixel-space models; latents are not clipped. */
export interface SampleClipping {
  readonly clipSample: boolean;
  readonly clipSampleRange: number;
}

export function clipped(xStart: tf.Tensor4D, { clipSample, clipSampleRange }: SampleClipping): tf.Tensor4D {
  return clipSample ? tf.clipByValue(xStart, -clipSampleRange, clipSampleRange) : xStart;
}

/**
 * ln of a learned variance [N,H,W,C]: f·largest + (1 − f)·smallest with f = (logits + 1)/2, which is not clamped
 * (Nichol and Dhariwal, arXiv 2102.09672, eq. 15; gaussian_diffusion.py p_mean_variance).
 */
export function learnedLogVariance(logits: tf.Tensor4D, smallest: number, largest: number): tf.Tensor4D {
  const f = tf.div(tf.add(logits, 1), 2);
  return tf.add(tf.mul(f, largest), tf.mul(tf.sub(1, f), smallest));
}
