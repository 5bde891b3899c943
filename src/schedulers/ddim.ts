import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import {
  clipped,
  type NoiseLevel,
  noiseLevel,
  type PredictionType,
  predictEps,
  predictXStart,
  type SampleClipping,
} from './model-output.ts';
import { alphasCumprod, LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import type { ModelOutput, NoiseSource, Sampler, StepIndex, Steps, Timestep } from './sampler.ts';
import { spacedTimesteps, type TimestepSpacing } from './timesteps.ts';

/** Of diffusers' DDIMScheduler config; the defaults are those of its DiT folders. */
export interface DDIMConfig extends NoiseSchedule, TimestepSpacing, SampleClipping {
  readonly setAlphaToOne: boolean;
  readonly predictionType: PredictionType;
}

/** clip_sample is false in DiT's folders (the class default, true, would clip latents). */
export const DDIM_DEFAULTS: DDIMConfig = {
  ...LINEAR_SCHEDULE,
  clipSample: false,
  clipSampleRange: 1,
  setAlphaToOne: true,
  stepsOffset: 0,
  predictionType: 'epsilon',
  timestepSpacing: 'leading',
};

/** DDIM (Song et al., arXiv 2010.02502, eq. 12 and 16), after diffusers' DDIMScheduler. */
export class DDIMSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly alphas: Float32Array;
  /** How far a step goes; undefined where it goes to the next timestep of those given. */
  private readonly stride: number | undefined;

  /**
   * @param eta η: 0 adds no noise, 1 as much as DDPM does
   * @throws OptionError unless 1 ≤ steps ≤ numTrainTimesteps and the first timestep exists, or those given fall; and
   * unless 0 ≤ η ≤ 1.
   */
  constructor(
    steps: Steps,
    private readonly config: DDIMConfig = DDIM_DEFAULTS,
    private readonly eta = 0,
  ) {
    checkEta(eta);
    this.timesteps = spacedTimesteps(steps, config);
    this.alphas = alphasCumprod(config);
    // diffusers steps back by the stride whatever the spacing
    this.stride = typeof steps === 'number' ? Math.floor(config.numTrainTimesteps / steps) : undefined;
  }

  step(index: StepIndex, { eps: output }: ModelOutput, x: tf.Tensor4D, noise: NoiseSource): tf.Tensor4D {
    const t = this.timesteps[index] ?? 0;
    const alpha = this.alphas[t] ?? 1;
    const alphaPrevious = this.alphaAt(this.stride === undefined ? (this.timesteps[index + 1] ?? -1) : t - this.stride);
    return tf.tidy(() => {
      const { predXStart, eps } = this.predictions(output, x, noiseLevel(alpha));
      // drawn at a last step, too, whose σ is 0, as diffusers does
      const drawn = this.eta > 0 ? noise(x.shape) : undefined;
      return ddimUpdate(predXStart, eps, drawn, { alphaPrevious, sigma: this.sigma(alpha, alphaPrevious) });
    });
  }

  dispose(): void {}

  private alphaAt(t: number): number {
    if (t >= 0) return this.alphas[t] ?? 1;
    return this.config.setAlphaToOne ? 1 : (this.alphas[0] ?? 1);
  }

  /** η·√((1 − ᾱ')/(1 − ᾱ))·√(1 − ᾱ/ᾱ'), differences rounded to float32 as diffusers rounds them. */
  private sigma(alpha: number, alphaPrevious: number): number {
    const ratio = Math.fround(1 - alphaPrevious) / Math.fround(1 - alpha);
    return this.eta * Math.sqrt(ratio * Math.fround(1 - Math.fround(alpha / alphaPrevious)));
  }

  private predictions(
    output: tf.Tensor4D,
    x: tf.Tensor4D,
    level: NoiseLevel,
  ): { predXStart: tf.Tensor4D; eps: tf.Tensor4D } {
    const { predictionType: type } = this.config;
    const eps = predictEps(type, output, x, level);
    // ε is not made anew from the clipped x0 (use_clipped_model_output defaults to false)
    return { predXStart: clipped(predictXStart(type, output, x, level), this.config), eps };
  }
}

/** @throws OptionError unless 0 ≤ η ≤ 1; beyond, the step would take the root of a negative number. */
export function checkEta(eta: number): void {
  if (!(eta >= 0 && eta <= 1)) throw new OptionError(`eta: expected a number from 0 to 1, got ${eta}`);
}

/** Where a step ends. */
export interface DDIMStep {
  /** ᾱ of the next timestep. */
  readonly alphaPrevious: number;
  /** σ: how much of the noise there is fresh. */
  readonly sigma: number;
}

/** √ᾱ'·x0 + √(1 − ᾱ' − σ²)·ε + σ·noise. Runs in the caller's tidy. */
export function ddimUpdate(
  predXStart: tf.Tensor4D,
  eps: tf.Tensor4D,
  drawn: tf.Tensor4D | undefined,
  { alphaPrevious, sigma }: DDIMStep,
): tf.Tensor4D {
  const { signal, noise } = noiseLevel(alphaPrevious);
  const direction = tf.mul(eps, Math.sqrt(Math.max(0, noise ** 2 - sigma ** 2)));
  const next = tf.add(tf.mul(predXStart, signal), direction) as tf.Tensor4D;
  return drawn ? tf.add(next, tf.mul(drawn, sigma)) : next;
}
