import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import {
  clipped,
  learnedLogVariance,
  noiseLevel,
  type PredictionType,
  predictXStart,
  type SampleClipping,
} from './model-output.ts';
import { alphasCumprod, LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import type { ModelOutput, NoiseSource, Sampler, StepIndex, Steps, Timestep } from './sampler.ts';
import { spacedTimesteps, type TimestepSpacing } from './timesteps.ts';

/** Of diffusers' DDPMScheduler config; the defaults are its own, without clipping. */
export interface DDPMConfig extends NoiseSchedule, TimestepSpacing, SampleClipping {
  readonly predictionType: PredictionType;
  /** β̃, β, or between the two as the model says (for models that learn variances). */
  readonly varianceType: 'fixed_small' | 'fixed_large' | 'learned_range';
}

export const DDPM_DEFAULTS: DDPMConfig = {
  ...LINEAR_SCHEDULE,
  clipSample: false,
  clipSampleRange: 1,
  stepsOffset: 0,
  predictionType: 'epsilon',
  timestepSpacing: 'leading',
  varianceType: 'fixed_small',
};

/** diffusers' floor of β̃, which is 0 at a step that ends at ᾱ = 1. */
const SMALLEST_VARIANCE = 1e-20;

/** DDPM (Ho et al., arXiv 2006.11239, eq. 6 and 7) over spaced timesteps, after diffusers' DDPMScheduler. */
export class DDPMSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly alphas: Float32Array;

  /** @throws OptionError unless 1 ≤ steps ≤ numTrainTimesteps and the first timestep exists, or those given fall. */
  constructor(
    steps: Steps,
    private readonly config: DDPMConfig = DDPM_DEFAULTS,
  ) {
    this.timesteps = spacedTimesteps(steps, config);
    this.alphas = alphasCumprod(config);
  }

  /** @throws OptionError when the variance is learned and the model says none. */
  step(index: StepIndex, output: ModelOutput, x: tf.Tensor4D, noise: NoiseSource): tf.Tensor4D {
    const t = this.timesteps[index] ?? 0;
    const next = this.timesteps[index + 1];
    const alphaBar = this.alphas[t] ?? 1;
    const alphaBarPrevious = next === undefined ? 1 : (this.alphas[next] ?? 1);
    // differences are rounded to float32 as diffusers rounds them
    const alpha = Math.fround(alphaBar / alphaBarPrevious);
    const beta = Math.fround(1 - alpha);
    const level = noiseLevel(alphaBar);
    const [rest, restPrevious] = [Math.fround(1 - alphaBar), Math.fround(1 - alphaBarPrevious)];
    return tf.tidy(() => {
      const xStart = clipped(predictXStart(this.config.predictionType, output.eps, x, level), this.config);
      const mean = tf.add(
        tf.mul(xStart, (Math.sqrt(alphaBarPrevious) * beta) / rest),
        tf.mul(x, (Math.sqrt(alpha) * restPrevious) / rest),
      ) as tf.Tensor4D;
      if (t === 0) return mean;
      const posterior = Math.max((restPrevious / rest) * beta, SMALLEST_VARIANCE);
      return tf.add(mean, tf.mul(noise(x.shape), this.deviation(output, posterior, beta)));
    });
  }

  dispose(): void {}

  /** √variance: one number, or one for each of the latents. */
  private deviation({ variance }: ModelOutput, posterior: number, beta: number): tf.Tensor | number {
    const { varianceType } = this.config;
    if (varianceType === 'fixed_small') return Math.sqrt(posterior);
    if (varianceType === 'fixed_large') return Math.sqrt(beta);
    if (!variance) {
      throw new OptionError(
        'variance_type learned_range: expected a model that learns variances, this one gives ε alone; use fixed_small',
      );
    }
    return tf.exp(tf.div(learnedLogVariance(variance, Math.log(posterior), Math.log(beta)), 2));
  }
}
