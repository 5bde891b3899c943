import * as tf from '@tensorflow/tfjs-core';
import { runFused } from './fused.ts';

/**
 * LayerNorm without affine parameters: (x − mean) / √(var + eps), population variance over the last axis.
 * @param x [N,T,D]
 * @returns [N,T,D]
 */
export function layerNorm(x: tf.Tensor3D, eps: number): tf.Tensor3D {
  return tf.tidy(() => {
    const centred = tf.sub(x, tf.mean(x, -1, true)); // [N,T,D]
    const variance = tf.mean(tf.square(centred), -1, true); // [N,T,1]
    return tf.mul(centred, tf.rsqrt(tf.add(variance, eps)));
  });
}

/**
 * adaLN: x·(1 + scale) + shift, one shift and scale per sample.
 * @param x [N,T,D]
 * @param shift [N,D]
 * @param scale [N,D]
 * @returns [N,T,D]
 */
export function modulate(x: tf.Tensor3D, shift: tf.Tensor2D, scale: tf.Tensor2D): tf.Tensor3D {
  return tf.tidy(() => tf.add(tf.mul(x, tf.add(tf.expandDims(scale, 1), 1)), tf.expandDims(shift, 1)));
}

/** A LayerNorm without affine parameters and the modulation after it. */
export interface ModulatedNorm {
  /** [N,D] */
  readonly shift: tf.Tensor2D;
  /** [N,D] */
  readonly scale: tf.Tensor2D;
  readonly eps: number;
}

/** LayerNorm, then modulate: one seat, which a backend may fuse; no gradients then. Shapes as of the two. */
export function layerNormModulate(x: tf.Tensor3D, shift: tf.Tensor2D, scale: tf.Tensor2D, eps: number): tf.Tensor3D {
  const fused = runFused<tf.Tensor3D>('DeltaDitLayerNormModulate', { x, shift, scale }, { eps });
  return fused ?? tf.tidy(() => modulate(layerNorm(x, eps), shift, scale));
}

/**
 * x + gate·raw: how a residual branch joins the stream. One seat, which a backend may fuse; no gradients then.
 * @param x [N,T,D]
 * @param raw [N,T,D]
 * @param gate [N,D]
 * @returns [N,T,D]
 */
export function gateResidual(x: tf.Tensor3D, raw: tf.Tensor3D, gate: tf.Tensor2D): tf.Tensor3D {
  const fused = runFused<tf.Tensor3D>('DeltaDitGateResidual', { x, raw, gate });
  return fused ?? tf.tidy(() => tf.add(x, tf.mul(raw, tf.expandDims(gate, 1))));
}

/** What a residual branch is added to. */
export interface Residual {
  /** [N,T,D] */
  readonly x: tf.Tensor3D;
  /** [N,D]; a branch without one is added as it is. */
  readonly gate?: tf.Tensor2D | undefined;
}

/** x + gate·raw, x + raw without a gate, and `raw` itself where it is added to nothing. @param raw [N,T,D] */
export function joinResidual(raw: tf.Tensor3D, residual: Residual | undefined): tf.Tensor3D {
  if (!residual) return raw;
  return residual.gate ? gateResidual(residual.x, raw, residual.gate) : tf.add(residual.x, raw);
}
