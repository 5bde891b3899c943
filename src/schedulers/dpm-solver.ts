import * as tf from '@tensorflow/tfjs-core';
import { type PredictionType, predictXStart } from './model-output.ts';
import { alphasCumprod, LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import type { ModelOutput, Sampler, StepIndex, Timestep } from './sampler.ts';
import { solverTimesteps, type TimestepSpacing } from './timesteps.ts';

/** Of diffusers' DPMSolverMultistepScheduler config with algorithm dpmsolver++; the defaults are its own. */
export interface DPMSolverConfig extends NoiseSchedule, TimestepSpacing {
  readonly predictionType: PredictionType;
  readonly solverOrder: 1 | 2;
  readonly solverType: 'midpoint' | 'heun';
  /** The last step is of first order where there are fewer than 15. */
  readonly lowerOrderFinal: boolean;
  /** The last step is of first order. */
  readonly eulerAtFinal: boolean;
  /** Where the last step ends: at the image, or at the noise of timestep 0. */
  readonly finalSigmasType: 'zero' | 'sigma_min';
}

export const DPM_SOLVER_DEFAULTS: DPMSolverConfig = {
  ...LINEAR_SCHEDULE,
  predictionType: 'epsilon',
  timestepSpacing: 'linspace',
  stepsOffset: 0,
  solverOrder: 2,
  solverType: 'midpoint',
  lowerOrderFinal: true,
  eulerAtFinal: false,
  finalSigmasType: 'zero',
};

/** Fewer steps than these end with first order: DPM-Solver++ appendix, as diffusers has it. */
const FEW_STEPS = 15;

/** DPM-Solver++ 2M (Lu et al., arXiv 2211.01095, Algorithm 2), after diffusers' DPMSolverMultistepScheduler. */
export class DPMSolverSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  /** σ = √(1 − ᾱ)/√ᾱ of each timestep, then where the run ends. λ = −ln σ. */
  private readonly sigmas: Float32Array;
  /** The x0 predicted one step before. */
  private previous: { readonly index: StepIndex; readonly xStart: tf.Tensor4D } | undefined;

  /** @throws OptionError unless 1 ≤ numInferenceSteps < numTrainTimesteps (≤ for trailing) and the timesteps exist. */
  constructor(
    numInferenceSteps: number,
    private readonly config: DPMSolverConfig = DPM_SOLVER_DEFAULTS,
  ) {
    this.timesteps = solverTimesteps(numInferenceSteps, config);
    const alphas = alphasCumprod(config);
    const sigmaAt = (t: number) => Math.sqrt(Math.fround(1 - (alphas[t] ?? 1)) / (alphas[t] ?? 1));
    const last = config.finalSigmasType === 'zero' ? 0 : sigmaAt(0);
    this.sigmas = Float32Array.from([...this.timesteps.map(sigmaAt), last]);
  }

  /** Steps are taken in order. @throws RangeError when the step before was not. */
  step(index: StepIndex, { eps }: ModelOutput, x: tf.Tensor4D): tf.Tensor4D {
    const sigma = this.sigmas[index] ?? 0;
    const signal = 1 / Math.sqrt(sigma ** 2 + 1);
    const level = { signal, noise: sigma * signal };
    const xStart = tf.keep(
      tf.tidy(() => tf.clone(predictXStart(this.config.predictionType, eps, x, level)) as tf.Tensor4D),
    );
    try {
      return tf.tidy(() => this.update(index, xStart, x));
    } finally {
      this.dispose();
      if (index + 1 < this.timesteps.length) this.previous = { index, xStart };
      else xStart.dispose();
    }
  }

  dispose(): void {
    this.previous?.xStart.dispose();
    this.previous = undefined;
  }

  /** With h = λ' − λ, e^−h is σ'/σ, so that a last σ' of 0 needs no infinite h: first order gives x0. */
  private update(index: StepIndex, xStart: tf.Tensor4D, x: tf.Tensor4D): tf.Tensor4D {
    const [sigma, next] = [this.sigmas[index] ?? 0, this.sigmas[index + 1] ?? 0];
    const signalNext = 1 / Math.sqrt(next ** 2 + 1);
    const shrink = next / sigma; // e^−h
    const scale = shrink * signalNext * Math.sqrt(sigma ** 2 + 1); // next noise ÷ noise
    const weight = signalNext * (1 - shrink);
    const first = tf.add(tf.mul(x, scale), tf.mul(xStart, weight)) as tf.Tensor4D;
    if (this.orderAt(index) === 1) return first;
    const before = this.previous;
    if (before?.index !== index - 1) throw new RangeError(`step ${index} needs the x0 of step ${index - 1}`);
    const h = -Math.log(shrink);
    const hPrevious = Math.log((this.sigmas[index - 1] ?? 0) / sigma);
    const slope = tf.mul(tf.sub(xStart, before.xStart), h / hPrevious);
    const curve = this.config.solverType === 'midpoint' ? weight / 2 : signalNext - weight / h;
    return tf.add(first, tf.mul(slope, curve));
  }

  private orderAt(index: StepIndex): 1 | 2 {
    const { solverOrder, eulerAtFinal, lowerOrderFinal, finalSigmasType } = this.config;
    const count = this.timesteps.length;
    if (index === 0 || solverOrder === 1) return 1;
    const endsLow = eulerAtFinal || (lowerOrderFinal && count < FEW_STEPS) || finalSigmasType === 'zero';
    return endsLow && index === count - 1 ? 1 : 2;
  }
}
