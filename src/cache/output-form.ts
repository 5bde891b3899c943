import * as tf from '@tensorflow/tfjs-core';
import type { Keeps } from './plan.ts';

/** How the model's guided output [N,H,W,C] is kept, and what a kept value means at another step. Results are fresh. */
export interface OutputForm {
  toKept(output: tf.Tensor4D, latents: tf.Tensor4D, step: number): tf.Tensor4D;
  toOutput(kept: tf.Tensor4D, latents: tf.Tensor4D, step: number): tf.Tensor4D;
}

const AS_IT_IS: OutputForm = { toKept: (output) => output.clone(), toOutput: (kept) => kept.clone() };

/** Output − latents, as EasyCache keeps it. */
const RESIDUAL: OutputForm = {
  toKept: (output, latents) => tf.sub(output, latents),
  toOutput: (kept, latents) => tf.add(latents, kept),
};

/** The clean latents of a step as a sum: x0 = latents·ofLatents + output·ofOutput, whatever the model predicts. */
export interface CleanMap {
  readonly ofLatents: number;
  readonly ofOutput: number;
}

/** @param clean of each step; needed where clean latents are kept */
export function outputForm(keeps: Keeps, clean: (step: number) => CleanMap): OutputForm {
  if (keeps === 'output') return AS_IT_IS;
  if (keeps === 'delta') return RESIDUAL;
  return {
    toKept: (output, latents, step) => {
      const { ofLatents, ofOutput } = clean(step);
      return tf.tidy(() => tf.add(tf.mul(latents, ofLatents), tf.mul(output, ofOutput)));
    },
    toOutput: (kept, latents, step) => {
      const { ofLatents, ofOutput } = clean(step);
      return tf.tidy(() => tf.div(tf.sub(kept, tf.mul(latents, ofLatents)), ofOutput));
    },
  };
}
