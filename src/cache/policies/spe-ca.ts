import * as tf from '@tensorflow/tfjs-core';
import { gatherRows } from '../../ops/rows.ts';
import type { BlockPass, DynamicRun } from '../dynamic.ts';
import { checkCount, checkNumber } from '../option-checks.ts';
import type { DynamicPolicy } from '../policy.ts';
import { predictorOf } from '../predictors/named.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import { type HalvesOption, halvesTogether, readRows, sharedByHalves } from '../row-change.ts';

export interface SpeCaOptions extends HalvesOption {
  /** Of the Taylor prediction. Default 4. */
  readonly order?: number;
  /** The error that is borne at the start, before it decays. Default 0.1. */
  readonly baseThreshold?: number;
  /** What is left of it at the last step. Default 0.01. */
  readonly decay?: number;
  /** Predicted steps between computed ones, at least. Default 2. */
  readonly minPredictions?: number;
  /** At most. Default 5; 0 predicts nothing. */
  readonly maxPredictions?: number;
  /** Steps from noise of which every second is computed. Default 3. */
  readonly warmUpSteps?: number;
}

/** Below this the error that is borne does not decay. */
const LEAST_THRESHOLD = 0.01;
/** Added to the denominators of the error. */
const ERROR_EPS = 1e-10;

/**
 * SpeCa (arXiv 2509.11628; dit/speca-dit of github.com/Shenyi-Z/Cache4Diffusion, `cal_type`, whose sample.py gives the
 * defaults). After a computed step every branch is predicted by TaylorSeer. From `minPredictions` predicted steps on, the
 * last block is also computed on its predicted input: e = mean(|ŷ − y| ÷ |y|). Where e > max(base·decay^p, 0.01), p the
 * part of the steps that are done, or after `maxPredictions`, the next step is computed. A computed step is never followed
 * by another, so that of the warm-up every second step is predicted.
 * @throws OptionError for numbers out of range.
 */
export function speCa(options: SpeCaOptions = {}): DynamicPolicy {
  const { order = 4, baseThreshold = 0.1, decay = 0.01, minPredictions = 2, maxPredictions = 5 } = options;
  const { warmUpSteps = 3 } = options;
  const predictor: PredictorSpec = { name: 'taylor', order };
  predictorOf(predictor);
  checkNumber('baseThreshold', baseThreshold, 0);
  checkNumber('decay', decay, 0, 1);
  checkCount('minPredictions', minPredictions, 1);
  checkCount('maxPredictions', maxPredictions);
  checkCount('warmUpSteps', warmUpSteps);
  const verdicts = { baseThreshold, decay, minPredictions, maxPredictions, warmUpSteps };
  return {
    name: 'speca',
    begin: (setting) =>
      new SpeCaRun(
        predictor,
        { ...verdicts, halves: halvesTogether(options.halves, setting) },
        setting.numInferenceSteps,
      ),
  };
}

/** What a row did at the step before. */
interface RowState {
  /** Predicted steps since the last computed one. */
  readonly predictions: number;
  /** Whether its last block is checked. */
  readonly verifies: boolean;
  /** The error last seen since the last computed step. */
  error: number;
}

class SpeCaRun implements DynamicRun {
  readonly keeps = 'output';
  readonly signals: number[][] = [];
  private rows: RowState[] = [];

  constructor(
    readonly predictor: PredictorSpec,
    private readonly verdicts: Required<Omit<SpeCaOptions, 'order' | 'halves'>> & { readonly halves: number },
    private readonly numSteps: number,
  ) {}

  async blocks(step: number, pass: BlockPass): Promise<void> {
    if (this.verdicts.maxPredictions === 0) return; // nothing is predicted, so nothing need be stored
    this.rows = Array.from({ length: pass.rowCount }, (_, row) => this.next(step, this.rows[row]));
    const reuse = this.rows.map(({ predictions }) => predictions > 0);
    const verified = [...this.rows.keys()].filter((row) => this.rows[row]?.verifies);
    await pass.branches(pass.depth - 1, reuse);
    const computed = verified.length > 0 ? await pass.computeAside(verified) : undefined;
    try {
      await pass.branches(pass.depth, reuse);
      const errors = computed
        ? await readRows(predictionError(pass.tokens, computed, verified, this.verdicts.halves))
        : [];
      for (const [place, row] of verified.entries()) {
        const state = this.rows[row];
        if (state) state.error = errors[place] ?? 0;
      }
    } finally {
      computed?.dispose();
    }
    this.signals.push(verified.length > 0 ? this.rows.map(({ error }) => error) : []);
  }

  private next(step: number, before: RowState | undefined): RowState {
    const { minPredictions, maxPredictions, warmUpSteps } = this.verdicts;
    const predictions = before?.predictions ?? Number.POSITIVE_INFINITY;
    const isSpent = predictions >= maxPredictions;
    const isWrong = predictions >= minPredictions && (before?.error ?? 0) > this.threshold(step);
    const isFull = predictions > 0 && (step < warmUpSteps || isWrong);
    if (isSpent || isFull) return { predictions: 0, verifies: false, error: 0 };
    const verifies = predictions > 0 && predictions >= minPredictions;
    return { predictions: predictions + 1, verifies, error: before?.error ?? 0 };
  }

  private threshold(step: number): number {
    const { baseThreshold, decay } = this.verdicts;
    return Math.max(baseThreshold * decay ** ((step + 1) / this.numSteps), LEAST_THRESHOLD);
  }
}

/** mean(|ŷ − y| ÷ |y|) of the rows that were checked [rows.length]. */
function predictionError(
  predicted: tf.Tensor3D,
  computed: tf.Tensor3D,
  rows: readonly number[],
  halves: number,
): tf.Tensor1D {
  return tf.tidy(() => {
    const off = tf.abs(tf.sub(gatherRows(predicted, rows), computed));
    return sharedByHalves(tf.mean(tf.div(off, tf.add(tf.abs(computed), ERROR_EPS)), [1, 2]), halves);
  });
}
