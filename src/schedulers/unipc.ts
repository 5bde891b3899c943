import * as tf from '@tensorflow/tfjs-core';
import { type PredictionType, predictEps, predictXStart } from './model-output.ts';
import {
  type FinalSigma,
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

/** Of diffusers' UniPCMultistepScheduler config; the defaults are its own. */
export interface UniPCConfig extends NoiseSchedule, TimestepSpacing {
  readonly predictionType: PredictionType;
  /** Of the predictor; the corrector is one better. */
  readonly solverOrder: 1 | 2 | 3;
  /** Whether x0 is what is extrapolated; else ε. */
  readonly predictX0: boolean;
  /** B(h): h, or e^h − 1. */
  readonly solverType: 'bh1' | 'bh2';
  /** The last steps are of lower order, whatever their number. */
  readonly lowerOrderFinal: boolean;
  /** Steps whose end is not corrected once the model has seen it. */
  readonly disableCorrector: readonly StepIndex[];
  readonly finalSigmasType: FinalSigma;
}

export const UNIPC_DEFAULTS: UniPCConfig = {
  ...LINEAR_SCHEDULE,
  predictionType: 'epsilon',
  timestepSpacing: 'linspace',
  stepsOffset: 0,
  solverOrder: 2,
  predictX0: true,
  solverType: 'bh2',
  lowerOrderFinal: true,
  disableCorrector: [],
  finalSigmasType: 'zero',
};

/** At another step a prediction [N,H,W,C], `node` steps ahead of where a leap begins, and its weight ρ. */
interface Neighbour {
  readonly prediction: tf.Tensor4D;
  /** r_k: (λ of the prediction − λ of the beginning)/h, negative for earlier steps. */
  readonly node: number;
  readonly rho: number;
}

/**
 * UniPC (Zhao et al., arXiv 2302.04867), after diffusers' UniPCMultistepScheduler: a step first corrects the latents
 * that it gets by what the model predicts of them (UniC), then predicts the next ones (UniP).
 */
export class UniPCSampler implements Sampler {
  readonly timesteps: readonly Timestep[];
  private readonly sigmas: Float32Array;
  private readonly past: PastPredictions;
  /** The latents that the last step began from, corrected. */
  private start: tf.Tensor4D | undefined;

  /**
   * @throws OptionError unless 1 ≤ steps < numTrainTimesteps (≤ for trailing) and the timesteps exist, or those given
   * fall from below numTrainTimesteps to 0 or, for `sigma_min`, above.
   */
  constructor(
    steps: Steps,
    private readonly config: UniPCConfig = UNIPC_DEFAULTS,
  ) {
    ({ timesteps: this.timesteps, sigmas: this.sigmas } = solverGrid(steps, config, config.finalSigmasType));
    this.past = new PastPredictions(config.solverOrder);
  }

  /** Steps are taken in order. @throws RangeError when the step before was not. */
  step(index: StepIndex, { eps: output }: ModelOutput, x: tf.Tensor4D): tf.Tensor4D {
    const before = this.past.before(index);
    const [next, start, prediction] = tf.tidy((): tf.Tensor4D[] => {
      const predicted = tf.clone(this.predictionOf(index, output, x));
      const corrected = this.corrected(index, x, predicted, before);
      return [this.next(index, corrected, predicted, before), tf.keep(corrected), tf.keep(predicted)];
    }) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
    this.past.add(prediction);
    this.start?.dispose();
    this.start = start;
    if (index + 1 === this.timesteps.length) this.dispose();
    return next;
  }

  dispose(): void {
    this.past.dispose();
    this.start?.dispose();
    this.start = undefined;
  }

  private predictionOf(index: StepIndex, output: tf.Tensor4D, x: tf.Tensor4D): tf.Tensor4D {
    const { predictX0, predictionType } = this.config;
    return (predictX0 ? predictXStart : predictEps)(predictionType, output, x, levelOfSigma(this.sigmas[index] ?? 0));
  }

  private orderAt(index: StepIndex): number {
    return orderAt(index, this.timesteps.length, this.config.solverOrder, this.config.lowerOrderFinal);
  }

  /** UniC-p: the step before again, now that the prediction at its end is known. */
  private corrected(
    index: StepIndex,
    x: tf.Tensor4D,
    prediction: tf.Tensor4D,
    [latest, ...earlier]: readonly tf.Tensor4D[],
  ): tf.Tensor4D {
    if (!this.start || !latest || this.config.disableCorrector.includes(index - 1)) return tf.clone(x);
    const from = index - 1;
    const used = [...earlier.slice(0, this.orderAt(from) - 1), prediction];
    const nodes = [...this.nodesBefore(from, used.length - 1), 1];
    return this.leap(from, this.start, latest, this.neighbours(from, used, nodes));
  }

  /** UniP-p. */
  private next(
    index: StepIndex,
    x: tf.Tensor4D,
    prediction: tf.Tensor4D,
    earlier: readonly tf.Tensor4D[],
  ): tf.Tensor4D {
    const used = earlier.slice(0, this.orderAt(index) - 1);
    return this.leap(index, x, prediction, this.neighbours(index, used, this.nodesBefore(index, used.length)));
  }

  /** r_1 … r_count: how far the steps before `from` lie behind it, in lengths of the leap. */
  private nodesBefore(from: StepIndex, count: number): number[] {
    const lambda = (index: StepIndex) => -Math.log(this.sigmas[index] ?? 0);
    const h = lambda(from + 1) - lambda(from);
    return Array.from({ length: count }, (_, k) => (lambda(from - k - 1) - lambda(from)) / h);
  }

  /** ρ solves Σ ρ_k·r_k^(j−1) = b_j; where it is one alone, diffusers takes ½, which is of the same order. */
  private neighbours(
    from: StepIndex,
    predictions: readonly tf.Tensor4D[],
    nodes: readonly number[],
  ): readonly Neighbour[] {
    const rhos = nodes.length === 1 ? [0.5] : quadratureWeights(nodes, this.moments(from, nodes.length));
    return predictions.map((prediction, k) => ({ prediction, node: nodes[k] ?? 1, rho: rhos[k] ?? 0 }));
  }

  /** b_j = h·φ_{j+1}(h)·j!/B(h), with −h for h where x0 is predicted. */
  private moments(from: StepIndex, count: number): number[] {
    const { predictX0, solverType } = this.config;
    const h = Math.log((this.sigmas[from] ?? 0) / (this.sigmas[from + 1] ?? 0)) * (predictX0 ? -1 : 1);
    const scale = solverType === 'bh1' ? h : Math.expm1(h);
    let [phi, factorial] = [Math.expm1(h) / h - 1, 1];
    return Array.from({ length: count }, (_, k) => {
      const moment = (phi * factorial) / scale;
      factorial *= k + 2;
      phi = phi / h - 1 / factorial;
      return moment;
    });
  }

  /**
   * From timestep `from` to the next: first order, and Σ ρ_k·(m_k − m)/r_k of the predictions around.
   * Written in σ, so that a last σ of 0 needs no infinite h.
   */
  private leap(from: StepIndex, x: tf.Tensor4D, latest: tf.Tensor4D, neighbours: readonly Neighbour[]): tf.Tensor4D {
    const { predictX0, solverType } = this.config;
    const [sigma, next] = [this.sigmas[from] ?? 0, this.sigmas[from + 1] ?? 0];
    const [level, nextLevel] = [levelOfSigma(sigma), levelOfSigma(next)];
    const ratio = predictX0 ? nextLevel.noise / level.noise : nextLevel.signal / level.signal;
    // (e^∓h − 1) times what it multiplies
    const first = nextLevel.signal * (predictX0 ? next / sigma - 1 : sigma - next);
    const h = Math.log(sigma / next);
    const linear = predictX0 ? -h * nextLevel.signal : h * nextLevel.noise;
    const scale = solverType === 'bh1' ? linear : first;
    const around = neighbours.map(({ prediction, node, rho }) => [(-scale * rho) / node, prediction] as const);
    const own = around.reduce((sum, [weight]) => sum - weight, -first);
    return linearCombination([[ratio, x], [own, latest], ...around]);
  }
}
