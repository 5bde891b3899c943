import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import { alphasCumprod, checkSteps, LINEAR_SCHEDULE, type NoiseSchedule, roundHalfEven } from './noise-schedule.ts';
import type { ModelOutput, Sampler, StepIndex, Timestep } from './sampler.ts';

/** Of diffusers' DDIMScheduler config; the defaults are those of its DiT folders. */
export interface DDIMConfig extends NoiseSchedule {
  readonly clipSample: boolean;
  readonly clipSampleRange: number;
  readonly setAlphaToOne: boolean;
  readonly stepsOffset: number;
  readonly predictionType: 'epsilon' | 'v_prediction' | 'sample';
  readonly timestepSpacing: 'leading' | 'linspace' | 'trailing';
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

/** DDIM with η = 0 (Song et al., arXiv 2010.02502, eq. 12), after diffusers' DDIMScheduler. */
export class DDIMSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly alphas: Float32Array;
  private readonly stride: number;

  /** @throws OptionError unless 1 ≤ numInferenceSteps ≤ numTrainTimesteps and the first timestep exists. */
  constructor(
    numInferenceSteps: number,
    private readonly config: DDIMConfig = DDIM_DEFAULTS,
  ) {
    checkSteps(numInferenceSteps, config.numTrainTimesteps);
    this.timesteps = ddimTimesteps(numInferenceSteps, config);
    const [first = 0] = this.timesteps;
    if (first >= config.numTrainTimesteps) {
      throw new OptionError(
        `numInferenceSteps: ${numInferenceSteps} steps with steps_offset ${config.stepsOffset} would start at timestep ${first}, past the last, ${config.numTrainTimesteps - 1}; take fewer`,
      );
    }
    this.alphas = alphasCumprod(config);
    this.stride = Math.floor(config.numTrainTimesteps / numInferenceSteps);
  }

  step(index: StepIndex, { eps: output }: ModelOutput, x: tf.Tensor4D): tf.Tensor4D {
    const t = this.timesteps[index] ?? 0;
    const alpha = this.alphas[t] ?? 1;
    // diffusers steps back by the stride whatever the spacing
    const alphaPrevious = this.alphaAt(t - this.stride);
    return tf.tidy(() => {
      const { predXStart, eps } = this.predictions(output, x, alpha);
      return tf.add(tf.mul(predXStart, Math.sqrt(alphaPrevious)), tf.mul(eps, noiseLevel(alphaPrevious)));
    });
  }

  dispose(): void {}

  private alphaAt(t: number): number {
    if (t >= 0) return this.alphas[t] ?? 1;
    return this.config.setAlphaToOne ? 1 : (this.alphas[0] ?? 1);
  }

  private predictions(
    output: tf.Tensor4D,
    x: tf.Tensor4D,
    alpha: number,
  ): { predXStart: tf.Tensor4D; eps: tf.Tensor4D } {
    const [signal, noise] = [Math.sqrt(alpha), noiseLevel(alpha)];
    const { predictionType, clipSample, clipSampleRange } = this.config;
    let predXStart: tf.Tensor4D;
    let eps = output;
    if (predictionType === 'epsilon') {
      predXStart = tf.div(tf.sub(x, tf.mul(output, noise)), signal);
    } else if (predictionType === 'sample') {
      predXStart = output;
      eps = tf.div(tf.sub(x, tf.mul(output, signal)), noise);
    } else {
      predXStart = tf.sub(tf.mul(x, signal), tf.mul(output, noise));
      eps = tf.add(tf.mul(output, signal), tf.mul(x, noise));
    }
    // ε is not made anew from the clipped x0 (use_clipped_model_output defaults to false)
    if (clipSample) predXStart = tf.clipByValue(predXStart, -clipSampleRange, clipSampleRange);
    return { predXStart, eps };
  }
}

/** √(1 − ᾱ), the difference rounded to float32 as diffusers does: early steps multiply its last bit by 1/√ᾱ ≈ 150. */
function noiseLevel(alpha: number): number {
  return Math.sqrt(Math.fround(1 - alpha));
}

function ddimTimesteps(steps: number, { numTrainTimesteps, timestepSpacing, stepsOffset }: DDIMConfig): Timestep[] {
  const indices = Array.from({ length: steps }, (_, i) => i);
  if (timestepSpacing === 'leading') {
    const stride = Math.floor(numTrainTimesteps / steps);
    return indices.map((i) => (steps - 1 - i) * stride + stepsOffset);
  }
  if (timestepSpacing === 'linspace') {
    const spacing = steps === 1 ? 0 : (numTrainTimesteps - 1) / (steps - 1);
    return indices.map((i) => roundHalfEven((steps - 1 - i) * spacing));
  }
  return indices.map((i) => roundHalfEven(numTrainTimesteps - (i * numTrainTimesteps) / steps) - 1);
}
