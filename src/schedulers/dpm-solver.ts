import * as tf from '@tensorflow/tfjs-core';
import { type PredictionType, predictXStart } from './model-output.ts';
import { FEW_STEPS, type FinalSigma, levelOfSigma, orderAt, PastPredictions, solverGrid } from './multistep.ts';
import { LINEAR_SCHEDULE, type NoiseSchedule } from './noise-schedule.ts';
import type { ModelOutput, Sampler, StepIndex, Steps, Timestep } from './sampler.ts';
import type { TimestepSpacing } from './timesteps.ts';

/** Of diffusers' DPMSolverMultistepScheduler config with algorithm dpmsolver++; the defaults are its own. */
export interface DPMSolverConfig extends NoiseSchedule, TimestepSpacing {
  readonly predictionType: PredictionType;
  readonly solverOrder: 1 | 2;
  readonly solverType: 'midpoint' | 'heun';
  /** The last step is of first order where there are fewer than 15. */
  readonly lowerOrderFinal: boolean;
  /** The last step is of first order. */
  readonly eulerAtFinal: boolean;
  readonly finalSigmasType: FinalSigma;
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

/** DPM-Solver++ 2M (Lu et al., arXiv 2211.01095, Algorithm 2), after diffusers' DPMSolverMultistepScheduler. */
export class DPMSolverSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly sigmas: Float32Array;
  private readonly past: PastPredictions;

  /**
   * @throws OptionError unless 1 ≤ steps < numTrainTimesteps (≤ for trailing) and the timesteps exist, or those given
   * fall from below numTrainTimesteps to 0 or, for `sigma_min`, above.
   */
  constructor(
    steps: Steps,
    private readonly config: DPMSolverConfig = DPM_SOLVER_DEFAULTS,
  ) {
    ({ timesteps: this.timesteps, sigmas: this.sigmas } = solverGrid(steps, config, config.finalSigmasType));
    this.past = new PastPredictions(config.solverOrder - 1);
  }

  /** Steps are taken in order. @throws RangeError when the step before was not. */
  step(index: StepIndex, { eps }: ModelOutput, x: tf.Tensor4D): tf.Tensor4D {
    const [before] = this.past.before(index);
    const level = levelOfSigma(this.sigmas[index] ?? 0);
    const [next, xStart] = tf.tidy((): [tf.Tensor4D, tf.Tensor4D] => {
      const predicted = tf.clone(predictXStart(this.config.predictionType, eps, x, level));
      return [this.update(index, x, predicted, before), tf.keep(predicted)];
    });
    this.past.add(xStart);
    if (index + 1 === this.timesteps.length) this.dispose();
    return next;
  }

  dispose(): void {
    this.past.dispose();
  }

  /** With h = λ' − λ, e^−h is σ'/σ, so that a last σ' of 0 needs no infinite h: first order gives x0. */
  private update(index: StepIndex, x: tf.Tensor4D, xStart: tf.Tensor4D, before: tf.Tensor4D | undefined): tf.Tensor4D {
    const [sigma, next] = [this.sigmas[index] ?? 0, this.sigmas[index + 1] ?? 0];
    const signalNext = 1 / Math.sqrt(next ** 2 + 1);
    const shrink = next / sigma; // e^−h
    const scale = shrink * signalNext * Math.sqrt(sigma ** 2 + 1); // next noise ÷ noise
    const weight = signalNext * (1 - shrink);
    const first = tf.add(tf.mul(x, scale), tf.mul(xStart, weight)) as tf.Tensor4D;
    if (!before || this.orderAt(index) === 1) return first;
    const h = -Math.log(shrink);
    const hPrevious = Math.log((this.sigmas[index - 1] ?? 0) / sigma);
    const slope = tf.mul(tf.sub(xStart, before), h / hPrevious);
    const curve = this.config.solverType === 'midpoint' ? weight / 2 : signalNext - weight / h;
    return tf.add(first, tf.mul(slope, curve));
  }

  private orderAt(index: StepIndex): number {
    const { solverOrder, eulerAtFinal, lowerOrderFinal, finalSigmasType } = this.config;
    const count = this.timesteps.length;
    const endsLow = eulerAtFinal || (lowerOrderFinal && count < FEW_STEPS) || finalSigmasType === 'zero';
    return orderAt(index, count, solverOrder, endsLow);
  }
}
