import { OptionError } from '../errors.ts';
import type { PlanSetting } from './plan.ts';

/** What a budget decides. */
export interface BudgetStages {
  /** N */
  readonly interval: number;
  /** N_c */
  readonly cachedBlocks: number;
}

/** Below this, a difference of block counts is rounding. */
const ROUNDING = 1e-9;

/**
 * N and N_c of Δ-DiT from a budget of MACs (arXiv 2406.01125, §4), M_g = budget·T·N_b·M_b. N = ⌈T·N_b·M_b/M_g⌉; where
 * its left-over steps, which are full, break the budget, the next N that keeps it. A cached step then computes
 * r = [(M_g/M_b − (T mod N)·N_b)/⌊T/N⌋ − N_b]/(N − 1) blocks, and N_c = N_b − round(r).
 * The paper prints this r as N_c and divides by M_b twice; so corrected it gives the paper's 21, 4 and 6.
 * @param budget MACs of all blocks ÷ those of the uncached run, such as 0.625; kept within half a block a cached step
 * @throws OptionError unless 1/T ≤ budget ≤ 1: one full step is the least there is.
 */
export function stagesOfBudget(
  budget: number,
  { numInferenceSteps, depth }: Pick<PlanSetting, 'numInferenceSteps' | 'depth'>,
): BudgetStages {
  checkBudget(budget, numInferenceSteps);
  const blocks = budget * numInferenceSteps * depth;
  for (let interval = Math.max(1, Math.ceil(1 / budget - ROUNDING)); interval <= numInferenceSteps; interval++) {
    if (interval === 1) return { interval, cachedBlocks: 0 };
    const periods = Math.floor(numInferenceSteps / interval);
    const leftOver = numInferenceSteps % interval;
    const computed = ((blocks - leftOver * depth) / periods - depth) / (interval - 1);
    if (computed > -ROUNDING) return { interval, cachedBlocks: depth - Math.max(0, roundHalfDown(computed)) };
  }
  // not reached: at N = T nothing is left over, and 1/T ≤ budget
  return { interval: numInferenceSteps, cachedBlocks: depth };
}

function checkBudget(budget: number, numInferenceSteps: number): void {
  if (!(budget > 0 && budget <= 1)) {
    throw new OptionError(`budget: expected a part of the uncached MACs, above 0 and at most 1, got ${budget}`);
  }
  const smallest = 1 / numInferenceSteps;
  if (budget < smallest - ROUNDING) {
    throw new OptionError(
      `budget: ${numInferenceSteps} steps cannot cost less than ${Number(smallest.toPrecision(4))} of the uncached MACs, one full step; got ${budget}; raise the budget or take more steps`,
    );
  }
}

/** A tie goes to the side that costs less. */
function roundHalfDown(value: number): number {
  return Math.ceil(value - 0.5 - ROUNDING);
}
