/** What the multistep solvers of the diffusion ODE share: where steps begin and end, and what is kept between them. */
import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import { weightedSum } from '../ops/weighted-sum.ts';
import type { NoiseLevel } from './model-output.ts';
import { alphasCumprod, type NoiseSchedule } from './noise-schedule.ts';
import type { StepIndex, Steps, Timestep } from './sampler.ts';
import { solverTimesteps, type TimestepSpacing } from './timesteps.ts';

/** Fewer steps than these end with lower orders: DPM-Solver++ appendix, as diffusers has it. */
export const FEW_STEPS = 15;

/** Where the last step ends: at the image, or at the noise of timestep 0. */
export type FinalSigma = 'zero' | 'sigma_min';

export interface SolverGrid {
  readonly timesteps: readonly Timestep[];
  /** σ = √(1 − ᾱ)/√ᾱ of each timestep, then where the run ends. λ = −ln σ. */
  readonly sigmas: Float32Array;
}

/** @throws OptionError as `solverTimesteps`, and where the last step would begin at the σ that it ends at. */
export function solverGrid(steps: Steps, config: NoiseSchedule & TimestepSpacing, end: FinalSigma): SolverGrid {
  const timesteps = solverTimesteps(steps, config);
  if (end === 'sigma_min' && timesteps.at(-1) === 0) {
    throw new OptionError('timesteps: the run ends at the noise of timestep 0, so that 0 is no step; leave it out');
  }
  const alphas = alphasCumprod(config);
  const sigmaAt = (t: number) => Math.sqrt(Math.fround(1 - (alphas[t] ?? 1)) / (alphas[t] ?? 1));
  const last = end === 'zero' ? 0 : sigmaAt(0);
  return { timesteps, sigmas: Float32Array.from([...timesteps.map(sigmaAt), last]) };
}

/** √ᾱ and √(1 − ᾱ) where √(1 − ᾱ)/√ᾱ is σ. */
export function levelOfSigma(sigma: number): NoiseLevel {
  const signal = 1 / Math.sqrt(sigma ** 2 + 1);
  return { signal, noise: sigma * signal };
}

/** The order of a step: it grows from 1 to the solver's, and falls to 1 at the last step where the run ends low. */
export function orderAt(index: StepIndex, count: number, solverOrder: number, endsLow: boolean): number {
  return Math.min(index + 1, solverOrder, endsLow ? count - index : solverOrder);
}

/** What the model predicted at the last steps, kept from step to step. */
export class PastPredictions {
  private readonly kept: tf.Tensor4D[] = [];
  private next: StepIndex = 0;

  /** @param most predictions that are kept */
  constructor(private readonly most: number) {}

  /**
   * The predictions [N,H,W,C] before a step, the latest first, borrowed. Step 0 begins a run.
   * @throws RangeError when the step before was not the last one taken.
   */
  before(index: StepIndex): readonly tf.Tensor4D[] {
    if (index === 0) this.dispose();
    if (index !== this.next)
      throw new RangeError(`step ${index} needs the prediction of step ${index - 1}; the next one is ${this.next}`);
    return this.kept;
  }

  /** @param prediction of the step that `before` was asked about, kept by the caller, from now on disposed here */
  add(prediction: tf.Tensor4D): void {
    this.kept.unshift(prediction);
    this.next += 1;
    tf.dispose(this.kept.splice(this.most));
  }

  dispose(): void {
    tf.dispose(this.kept.splice(0));
    this.next = 0;
  }
}

/**
 * w with Σ w_k·node_k^j = moment_j for j < n: the weights of values at the nodes that integrate every polynomial of
 * degree below n as the moments say. Each is the integral of the Lagrange polynomial of its node.
 * @param nodes n of them, distinct
 * @param moments of 1, u, u², …: n of them
 */
export function quadratureWeights(nodes: readonly number[], moments: readonly number[]): number[] {
  return nodes.map((node, k) => {
    const polynomial = nodes.reduce(
      (product, other, i) => (i === k ? product : timesLinear(product, other, node - other)),
      [1],
    );
    return polynomial.reduce((sum, coefficient, j) => sum + coefficient * (moments[j] ?? 0), 0);
  });
}

/** The coefficients, lowest first, of p(u)·(u − root)/scale. */
function timesLinear(polynomial: readonly number[], root: number, scale: number): number[] {
  return [...polynomial, 0].map((coefficient, j) => ((polynomial[j - 1] ?? 0) - root * coefficient) / scale);
}

/** Σ weight·tensor [N,H,W,C]. */
export function linearCombination(terms: readonly [Term, ...Term[]]): tf.Tensor4D {
  const [[, first], ...others] = terms;
  return weightedSum({
    tensors: [first, ...others.map(([, tensor]) => tensor)],
    weights: terms.map(([weight]) => weight),
  });
}

type Term = readonly [weight: number, tensor: tf.Tensor4D];
