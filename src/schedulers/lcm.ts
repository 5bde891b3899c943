import * as tf from '@tensorflow/tfjs-core';
import { clipped, noiseLevel, type PredictionType, predictXStart, type SampleClipping } from './model-output.ts';
import { alphasCumprod, LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import type { ModelOutput, NoiseSource, Sampler, StepIndex, Timestep } from './sampler.ts';
import { consistencyTimesteps } from './timesteps.ts';

/** Of diffusers' LCMScheduler config. */
export interface LCMConfig extends NoiseSchedule, SampleClipping {
  readonly predictionType: PredictionType;
  /** Timesteps that the model was distilled over; a run visits some of them. */
  readonly originalInferenceSteps: number;
  /** What timesteps are multiplied by in the boundary conditions. */
  readonly timestepScaling: number;
}

/** The class's own, but for the betas, which are PixArt-LCM's (the class has Stable Diffusion's). */
export const LCM_DEFAULTS: LCMConfig = {
  ...LINEAR_SCHEDULE,
  clipSample: false,
  clipSampleRange: 1,
  predictionType: 'epsilon',
  originalInferenceSteps: 50,
  timestepScaling: 10,
};

/** σ_data of the boundary conditions (Song et al., arXiv 2303.01469, appendix C, as LCM has it). */
const SIGMA = 0.5;

/**
 * Sampling of a latent consistency model (Luo et al., arXiv 2310.04378, Algorithm 3): each step predicts the image and
 * adds the noise of the next timestep to it. After diffusers' LCMScheduler; or, as `original`, PixArt-alpha's
 * diffusion/lcm_scheduler.py, with other timesteps and with noise drawn at the last of several steps, too.
 */
export class LCMSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly alphas: Float32Array;

  /** @throws OptionError unless 1 ≤ numInferenceSteps ≤ originalInferenceSteps. */
  constructor(
    numInferenceSteps: number,
    private readonly config: LCMConfig = LCM_DEFAULTS,
    private readonly variant: 'diffusers' | 'original' = 'diffusers',
  ) {
    this.timesteps = consistencyTimesteps(numInferenceSteps, config, variant);
    this.alphas = alphasCumprod(config);
  }

  step(index: StepIndex, { eps: output }: ModelOutput, x: tf.Tensor4D, noise: NoiseSource): tf.Tensor4D {
    const t = this.timesteps[index] ?? 0;
    const next = this.timesteps[index + 1];
    // the boundary conditions: at timestep 0 the image is x itself
    const scaled = t * this.config.timestepScaling;
    const skip = SIGMA ** 2 / (scaled ** 2 + SIGMA ** 2);
    const out = scaled / Math.sqrt(scaled ** 2 + SIGMA ** 2);
    return tf.tidy(() => {
      const level = noiseLevel(this.alphas[t] ?? 1);
      const xStart = clipped(predictXStart(this.config.predictionType, output, x, level), this.config);
      const denoised = tf.add(tf.mul(xStart, out), tf.mul(x, skip)) as tf.Tensor4D;
      if (next === undefined) {
        if (this.variant === 'original' && index > 0) noise(x.shape);
        return denoised;
      }
      const nextLevel = noiseLevel(this.alphas[next] ?? 1);
      return tf.add(tf.mul(denoised, nextLevel.signal), tf.mul(noise(x.shape), nextLevel.noise));
    });
  }

  dispose(): void {}
}
