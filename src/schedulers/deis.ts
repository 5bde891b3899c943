import * as tf from '@tensorflow/tfjs-core';
import { type PredictionType, predictEps } from './model-output.ts';
import {
  FEW_STEPS,
  levelOfSigma,
  linearCombination,
  orderAt,
  PastPredictions,
  quadratureWeights,
  solverGrid,
} from './multistep.ts';
import { LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import type { ModelOutput, Sampler, StepIndex, Steps, Timestep } from './sampler.ts';
import type { TimestepSpacing } from './timesteps.ts';

/** Of diffusers' DEISMultistepScheduler config; the defaults are its own. */
export interface DEISConfig extends NoiseSchedule, TimestepSpacing {
  readonly predictionType: PredictionType;
  readonly solverOrder: 1 | 2 | 3;
  /** The last steps are of lower order where there are fewer than 15. */
  readonly lowerOrderFinal: boolean;
}

export const DEIS_DEFAULTS: DEISConfig = {
  ...LINEAR_SCHEDULE,
  predictionType: 'epsilon',
  timestepSpacing: 'linspace',
  stepsOffset: 0,
  solverOrder: 2,
  lowerOrderFinal: true,
};

/**
 * DEIS, multistep in ln ρ (Zhang and Chen, arXiv 2204.13902): with ρ = √(1 − ᾱ)/√ᾱ the slope of x/√ᾱ is ε, taken for
 * the polynomial in ln ρ through the last steps and integrated exactly. After diffusers' DEISMultistepScheduler, which
 * ends at the noise of timestep 0.
 */
export class DEISSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  /** ρ is σ. */
  private readonly sigmas: Float32Array;
  private readonly past: PastPredictions;

  /**
   * @throws OptionError unless 1 ≤ steps < numTrainTimesteps and the timesteps exist, or those given fall from below
   * numTrainTimesteps to above 0.
   */
  constructor(
    steps: Steps,
    private readonly config: DEISConfig = DEIS_DEFAULTS,
  ) {
    ({ timesteps: this.timesteps, sigmas: this.sigmas } = solverGrid(steps, config, 'sigma_min'));
    this.past = new PastPredictions(config.solverOrder - 1);
  }

  /** Steps are taken in order. @throws RangeError when the step before was not. */
  step(index: StepIndex, { eps: output }: ModelOutput, x: tf.Tensor4D): tf.Tensor4D {
    const before = this.past.before(index);
    const level = levelOfSigma(this.sigmas[index] ?? 0);
    const [next, eps] = tf.tidy((): [tf.Tensor4D, tf.Tensor4D] => {
      const predicted = tf.clone(predictEps(this.config.predictionType, output, x, level));
      return [this.update(index, x, [predicted, ...before]), tf.keep(predicted)];
    });
    this.past.add(eps);
    if (index + 1 === this.timesteps.length) this.dispose();
    return next;
  }

  dispose(): void {
    this.past.dispose();
  }

  /** @param eps of this step and those before it, the latest first */
  private update(index: StepIndex, x: tf.Tensor4D, eps: readonly tf.Tensor4D[]): tf.Tensor4D {
    const { solverOrder, lowerOrderFinal } = this.config;
    const count = this.timesteps.length;
    const order = orderAt(index, count, solverOrder, lowerOrderFinal && count < FEW_STEPS);
    const [rho, rhoNext] = [this.sigmas[index] ?? 0, this.sigmas[index + 1] ?? 0];
    const used = eps.slice(0, order);
    const nodes = used.map((_, k) => Math.log((this.sigmas[index - k] ?? 0) / rho));
    const weights = quadratureWeights(nodes, logMoments(rho, rhoNext, order));
    const [{ signal }, { signal: signalNext }] = [levelOfSigma(rho), levelOfSigma(rhoNext)];
    return linearCombination([
      [signalNext / signal, x],
      ...used.map((one, k) => [signalNext * (weights[k] ?? 0), one] as const),
    ]);
  }
}

/** ∫ (ln ρ − ln from)^j dρ between two ρ for j = 0 … count − 1, by parts. */
function logMoments(from: number, to: number, count: number): number[] {
  const moments = [to - from];
  const u = Math.log(to / from);
  for (let j = 1; j < count; j++) moments.push(to * u ** j - j * (moments[j - 1] ?? 0));
  return moments;
}
