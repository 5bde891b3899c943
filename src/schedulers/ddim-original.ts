import * as tf from '@tensorflow/tfjs-core';
import { checkEta, ddimUpdate } from './ddim.ts';
import { predictXStart } from './model-output.ts';
import { LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import { respacedDiffusion } from './respacing.ts';
import type { ModelOutput, NoiseSource, Sampler, StepIndex, Timestep } from './sampler.ts';
import { stridedTimesteps } from './timesteps.ts';

/**
 * DDIM as the original DiT has it ("ddimK" spacing): after facebookresearch/DiT gaussian_diffusion.py ddim_sample,
 * x0 not clipped, so that ε made anew from it is the model's.
 */
export class OriginalDDIMSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly alphas: Float64Array;

  /** @throws OptionError unless a whole stride gives `numInferenceSteps` timesteps and 0 ≤ η ≤ 1. */
  constructor(
    numInferenceSteps: number,
    schedule: NoiseSchedule = LINEAR_SCHEDULE,
    private readonly eta = 0,
  ) {
    checkEta(eta);
    this.timesteps = stridedTimesteps(numInferenceSteps, schedule.numTrainTimesteps);
    this.alphas = respacedDiffusion(schedule, this.timesteps).alphasCumprod;
  }

  step(index: StepIndex, { eps }: ModelOutput, x: tf.Tensor4D, noise: NoiseSource): tf.Tensor4D {
    const i = this.timesteps.length - 1 - index;
    const alpha = this.alphas[i] ?? 1;
    const alphaPrevious = i === 0 ? 1 : (this.alphas[i - 1] ?? 1);
    return tf.tidy(() => {
      const xStart = predictXStart('epsilon', eps, x, { signal: Math.sqrt(alpha), noise: Math.sqrt(1 - alpha) });
      const drawn = this.eta > 0 ? noise(x.shape) : undefined;
      const variance = ((1 - alphaPrevious) / (1 - alpha)) * (1 - alpha / alphaPrevious);
      return ddimUpdate(xStart, eps, drawn, { alphaPrevious, sigma: this.eta * Math.sqrt(variance) });
    });
  }

  dispose(): void {}
}
