import * as tf from '@tensorflow/tfjs-core';
import { gatherRows, splitRows } from '../../ops/rows.ts';
import { residual } from '../delta.ts';
import type { BlockPass, DynamicRun } from '../dynamic.ts';
import { checkNumber } from '../option-checks.ts';
import type { DynamicPolicy } from '../policy.ts';
import { predictorOf } from '../predictors/named.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import { halvesTogether, readRows, relativeChange } from '../row-change.ts';
import type { Span } from '../site.ts';
import { checkWhole, defaultCachedBlocks } from '../stage-planner.ts';
import { type Region, regionSpan } from './span-cache.ts';

export interface AdaptiveDeltaOptions {
  /** Error of the predicted residual, as a part of the residual, that is borne. Default 0.05; 0 skips nothing. */
  readonly tolerance?: number;
  /** Default front, whose residual is the smoothest. */
  readonly region?: Region;
  /** N_c. Default that of Δ-DiT. */
  readonly cachedBlocks?: number;
  /** The most steps from one computed step to the next. Default 6. */
  readonly maxInterval?: number;
  /** How the residual is predicted. Default linear. */
  readonly predictor?: PredictorSpec;
}

/**
 * Δ-Cache on one region whose interval is ruled by the error that its predictor is seen to make: the step-size control of
 * ODE solvers (Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.4), with steps for time; a method of
 * our own. A computed step gives the residual R that the steps since the last computed one were to predict, and
 * e = mean|R̂ − R| ÷ mean|R| of the prediction R̂ made g steps from it. A prediction from p computed steps errs by a power p of
 * the distance, so that the next ⌊g·(tolerance ÷ e)^(1/p)⌋ steps are predicted, at most `maxInterval` − 1. Nothing is computed
 * to look: one read at computed steps, none at others. The first step and the last are computed. Both guidance halves of a
 * sample follow the greater of their errors: guidance multiplies their difference, in which errors made together cancel.
 * @throws OptionError for numbers out of range; with a run, where the model has fewer blocks.
 */
export function adaptiveDelta(options: AdaptiveDeltaOptions = {}): DynamicPolicy {
  const { tolerance = 0.05, region = 'front', maxInterval = 6 } = options;
  const { predictor = { name: 'taylor', order: 1 } } = options;
  checkNumber('tolerance', tolerance, 0);
  checkWhole('maxInterval', maxInterval, 1, 1000, 'steps');
  const { history } = predictorOf(predictor);
  return {
    name: `adaptive-delta-${region}`,
    begin: (setting) => {
      const { depth, numInferenceSteps } = setting;
      const count = options.cachedBlocks ?? defaultCachedBlocks(numInferenceSteps, depth);
      checkWhole('cachedBlocks', count, 0, depth, "the model's blocks");
      const span = regionSpan(region, count, depth);
      const halves = halvesTogether('together', setting);
      return new AdaptiveRun(predictor, { span, tolerance, maxInterval, history, halves }, numInferenceSteps);
    },
  };
}

/** What is known of a sample. */
interface SampleState {
  /** The step last computed. */
  readonly computed: number;
  /** Steps computed so far. */
  readonly snapshots: number;
  /** Steps from `computed` to the next. */
  readonly interval: number;
}

interface Control {
  readonly span: Span;
  readonly tolerance: number;
  readonly maxInterval: number;
  /** Computed steps that the predictor looks at, at most. */
  readonly history: number;
  /** Guidance halves in the batch, the samples of one after those of the other. */
  readonly halves: number;
}

class AdaptiveRun implements DynamicRun {
  readonly keeps = 'delta';
  readonly signals: number[][] = [];
  private samples: SampleState[] = [];

  constructor(
    readonly predictor: PredictorSpec,
    private readonly control: Control,
    private readonly numSteps: number,
  ) {}

  mayReuse(step: number): boolean {
    return step > 0 && step < this.numSteps - 1;
  }

  async blocks(step: number, pass: BlockPass): Promise<void> {
    const { span, halves } = this.control;
    const count = pass.rowCount / halves;
    const reused = Array.from({ length: count }, (_, sample) => {
      const { computed, interval } = this.samples[sample] ?? { computed: step, interval: 0 };
      return this.mayReuse(step) && step < computed + interval;
    });
    const reuse = Array.from({ length: pass.rowCount }, (_, row) => reused[row % count] ?? false);
    await pass.compute(span.first);
    const errors = await this.spanErrors(pass, reuse);
    this.samples = reused.map((isReused, sample) => {
      const before = this.samples[sample];
      if (!before) return { computed: step, snapshots: 1, interval: 1 };
      return isReused
        ? before
        : this.next(step, before, Math.max(...errors.filter((_, row) => row % count === sample)));
    });
    this.signals.push(errors);
  }

  /** Passes the span. @returns e of each row; 0 where it is predicted, or was not before */
  private async spanErrors(pass: BlockPass, reuse: readonly boolean[]): Promise<number[]> {
    const end = this.control.span.first + this.control.span.count;
    const checked = this.samples.length > 0 && pass.position < end ? splitRows(reuse).no : [];
    if (checked.length === 0) {
      await pass.span(end, reuse);
      return reuse.map(() => 0);
    }
    const hIn = gatherRows(pass.tokens, checked); // [checked,T,D]
    let predicted: tf.Tensor3D | undefined;
    try {
      predicted = await pass.prediction(end, checked); // [checked,T,D]
      await pass.span(end, reuse);
      const errors = await readRows(spanError(predicted, pass.tokens, hIn, checked));
      return reuse.map((reused, row) => (reused ? 0 : (errors[checked.indexOf(row)] ?? Number.NaN)));
    } finally {
      tf.dispose(predicted ? [hIn, predicted] : hIn);
    }
  }

  private next(step: number, before: SampleState, error: number): SampleState {
    const { tolerance, maxInterval, history } = this.control;
    const power = Math.min(before.snapshots, history);
    const predictable = Math.floor((step - before.computed) * (tolerance / error) ** (1 / power));
    const interval = Number.isNaN(predictable) ? 1 : 1 + Math.min(maxInterval - 1, predictable);
    return { computed: step, snapshots: before.snapshots + 1, interval };
  }
}

/** mean|R̂ − R| ÷ mean|R| of the rows that were checked. @param tokens after the span [N,T,D] @returns [rows.length], fresh */
function spanError(
  predicted: tf.Tensor3D,
  tokens: tf.Tensor3D,
  hIn: tf.Tensor3D,
  rows: readonly number[],
): tf.Tensor1D {
  return tf.tidy(() => relativeChange(predicted, residual(gatherRows(tokens, rows), hIn)));
}
