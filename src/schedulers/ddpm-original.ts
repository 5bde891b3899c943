import * as tf from '@tensorflow/tfjs-core';
import { learnedLogVariance, predictXStart } from './model-output.ts';
import { LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import { type RespacedDiffusion, respacedDiffusion } from './respacing.ts';
import type { ModelOutput, NoiseSource, Sampler, StepIndex, Timestep } from './sampler.ts';
import { respacedTimesteps } from './timesteps.ts';

/**
 * DDPM as the original DiT samples (250 steps in its demo): betas respaced in float64, ε predicted, x0 not clipped,
 * the variance between β̃ and β as the model says, or β where it says none. After facebookresearch/DiT
 * gaussian_diffusion.py p_sample. The model is told the training timesteps.
 */
export class OriginalDDPMSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly diffusion: RespacedDiffusion;

  /** @throws OptionError unless 1 ≤ numInferenceSteps ≤ numTrainTimesteps. */
  constructor(numInferenceSteps: number, schedule: NoiseSchedule = LINEAR_SCHEDULE) {
    this.timesteps = respacedTimesteps(numInferenceSteps, schedule.numTrainTimesteps);
    this.diffusion = respacedDiffusion(schedule, this.timesteps);
  }

  /** Draws at the last step, too, which adds no noise: so the generator ends where the original's does. */
  step(index: StepIndex, { eps, variance }: ModelOutput, x: tf.Tensor4D, noise: NoiseSource): tf.Tensor4D {
    const i = this.timesteps.length - 1 - index;
    const beta = this.diffusion.betas[i] ?? 0;
    const alpha = this.diffusion.alphasCumprod[i] ?? 1;
    const alphaPrevious = i === 0 ? 1 : (this.diffusion.alphasCumprod[i - 1] ?? 1);
    return tf.tidy(() => {
      const xStart = predictXStart('epsilon', eps, x, { signal: Math.sqrt(alpha), noise: Math.sqrt(1 - alpha) });
      const mean = tf.add(
        tf.mul(xStart, (beta * Math.sqrt(alphaPrevious)) / (1 - alpha)),
        tf.mul(x, ((1 - alphaPrevious) * Math.sqrt(1 - beta)) / (1 - alpha)),
      ) as tf.Tensor4D;
      const drawn = noise(x.shape);
      // β̃ is 0 at the last step; the original clips its logarithm to that of the step before, and never uses it
      if (i === 0) return mean;
      const posterior = (beta * (1 - alphaPrevious)) / (1 - alpha);
      const deviation = variance
        ? tf.exp(tf.div(learnedLogVariance(variance, Math.log(posterior), Math.log(beta)), 2))
        : Math.sqrt(beta);
      return tf.add(mean, tf.mul(drawn, deviation));
    });
  }

  dispose(): void {}
}
