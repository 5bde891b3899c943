import type { PlanSetting, PlanStep } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import { MODEL_SITE } from '../site.ts';
import { checkWhole } from '../stage-planner.ts';

export interface ForecastOptions {
  /** N: the model runs at every N-th step, and at the last. Default 2. */
  readonly interval?: number;
  /** Default: linear extrapolation over the steps, `{ name: 'taylor', order: 1 }`. */
  readonly predictor?: PredictorSpec;
  /**
   * What is extrapolated: 'output', the guided ε as the model gives it (the default), or 'x0', the clean latents that it
   * means.
   */
  readonly keeps?: 'output' | 'x0';
}

/**
 * Skips the whole model at most steps and extrapolates its guided output, for runs on a grid that is finer than the model
 * could be evaluated on: this project's own method.
 *
 * Why it can beat fewer steps. A solver of few steps pays twice: for the model's evaluations that it lacks, and for the
 * curve of the trajectory between its steps. ε along a trajectory is smooth in time, smoother than the residual of any
 * span of blocks, whose changes partly undo each other inside the model; so between two evaluations a line through the
 * last two is close, and the solver integrates over the finer grid with it. A held value would break the differences that
 * a multistep solver takes; a line keeps them. The last step runs the model: there ε changes most, and its error is not
 * corrected by later steps.
 *
 * Use it with a multistep solver (dpm-solver++, deis, unipc) and with N = 2 to 4 times as many steps as evaluations are
 * wanted: T steps cost ⌈T/N⌉ evaluations, and one more where the last step is not one of them.
 */
export function forecast(options: ForecastOptions = {}): StaticPolicy {
  const { predictor = { name: 'taylor', order: 1 }, keeps = 'output' } = options;
  return {
    name: 'forecast',
    plan: ({ numInferenceSteps, depth, branches }: PlanSetting) => {
      const interval = options.interval ?? Math.min(2, numInferenceSteps);
      checkWhole('interval', interval, 1, numInferenceSteps, 'the number of steps');
      const steps = Array.from({ length: numInferenceSteps }, (_, step): PlanStep => {
        const isFull = step % interval === 0 || step === numInferenceSteps - 1;
        return {
          step,
          record: isFull && interval > 1 ? [MODEL_SITE] : [],
          reuse: isFull ? [] : [MODEL_SITE],
          rows: 'both',
        };
      });
      return { depth, branches, steps, keeps, predictor };
    },
  };
}
