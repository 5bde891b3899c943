import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import { branchSites, planReuse } from '../reuse-table.ts';
import { checkWhole } from '../stage-planner.ts';

export interface TaylorSeerOptions {
  /** N. Default 4. */
  readonly interval?: number;
  /** O of the Taylor predictor. Default 4. */
  readonly order?: number;
  /** Full steps from noise, `first_enhance` of the authors' `cache_init`. Default 2. */
  readonly warmUp?: number;
  /** Instead of a Taylor series: FoCa, HiCache, AB-Cache and Spectrum are this plan with another predictor. */
  readonly predictor?: PredictorSpec;
}

/**
 * TaylorSeer (arXiv 2503.06923; `cal_type` of github.com/Shenyi-Z/TaylorSeer, TaylorSeer-DiT): the sites of FORA, each
 * predicted by a Taylor series of its last full steps. After the warm-up N − 1 steps are predicted, then one is full,
 * and so on: of 50 steps 26, 18, 14, 11 are full at N = 2, 3, 4, 5. The defaults, N = 4 and O = 4, are those of its
 * sample.py; it also recommends N = 3 with O = 3.
 */
export function taylorSeer({ interval = 4, order = 4, warmUp = 2, predictor }: TaylorSeerOptions = {}): StaticPolicy {
  return {
    name: 'taylorseer',
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps } = setting;
      checkWhole('interval', interval, 1, Math.max(interval, numInferenceSteps), 'a period of steps');
      checkWhole('warmUp', warmUp, 1, Math.max(warmUp, numInferenceSteps), 'the first steps');
      const every = branchSites(setting);
      const isFull = (step: number) => step < warmUp || (step - warmUp + 1) % interval === 0;
      return planReuse({
        ...setting,
        keeps: 'output',
        predictor: predictor ?? { name: 'taylor', order },
        reuseAt: (step) => (isFull(step) ? [] : every),
      });
    },
  };
}
