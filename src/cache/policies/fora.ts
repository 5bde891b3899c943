import { OptionError } from '../../errors.ts';
import type { BranchName } from '../../models/block.ts';
import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import type { PredictorSpec } from '../predictors/predictor.ts';
import { branchSites, planReuse } from '../reuse-table.ts';
import { checkWhole } from '../stage-planner.ts';

export interface ForaOptions {
  /** N. Default 3, as the authors' examples have it. */
  readonly interval?: number;
  /** Instead of holding the last output, which is FORA. */
  readonly predictor?: PredictorSpec;
  /** Instead of all branches, which is FORA. */
  readonly branches?: readonly BranchName[];
}

/**
 * FORA (arXiv 2407.01425; `DiTBlock.forward` of github.com/prathebaselva/FORA, src/models.py): the output of every
 * attention and MLP, before its gate, is held between full steps. Counting down to 0 as the authors do, a step is full
 * when it is the first or divides by N, so that the last one always is: of 50 steps 26, 18, 14, 11 at N = 2, 3, 4, 5.
 */
export function fora({ interval = 3, predictor, branches }: ForaOptions = {}): StaticPolicy {
  return {
    name: 'fora',
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps } = setting;
      checkWhole('interval', interval, 1, Math.max(interval, numInferenceSteps), 'a period of steps');
      const odd = branches?.find((name) => !setting.branches.includes(name));
      if (odd !== undefined)
        throw new OptionError(`branches: expected some of ${setting.branches.join(', ')}, got ${JSON.stringify(odd)}`);
      const every = branchSites(setting, branches);
      const isFull = (step: number) => step === 0 || (numInferenceSteps - 1 - step) % interval === 0;
      return planReuse({ ...setting, keeps: 'output', predictor, reuseAt: (step) => (isFull(step) ? [] : every) });
    },
  };
}
