import type * as tf from '@tensorflow/tfjs-core';

/** Counts 0, 1, … from noise to image. */
export type StepIndex = number & { readonly __step?: never };
/** The noise level a model is told: 999 → 0. */
export type Timestep = number & { readonly __timestep?: never };

/** How many steps a run has, laid as the scheduler's settings say; or their timesteps themselves, falling. */
export type Steps = number | readonly Timestep[];

/** What a model says of a noisy latent, guidance applied. */
export interface ModelOutput {
  /** [N,H,W,C], read as ε or v by the scheduler's prediction type. */
  readonly eps: tf.Tensor4D;
  /** Variance logits [N,H,W,C] of the same channels, never guided; absent where the model learns none. */
  readonly variance?: tf.Tensor4D | undefined;
}

/** Standard normal numbers of a shape [N,H,W,C], other ones at each call: a fresh tensor that the caller disposes. */
export type NoiseSource = (shape: readonly [number, number, number, number]) => tf.Tensor4D;

/** One sampling run: its timesteps and the update from one to the next. Knows no model. */
export interface Sampler {
  readonly timesteps: readonly Timestep[];
  /**
   * @param x the latents of step `index` [N,H,W,C], borrowed
   * @param noise drawn from once by each step that adds noise
   * @returns the latents of the next step [N,H,W,C]
   */
  step(index: StepIndex, output: ModelOutput, x: tf.Tensor4D, noise: NoiseSource): tf.Tensor4D;
  /** Frees what multistep methods keep. */
  dispose(): void;
}
