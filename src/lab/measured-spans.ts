import type { PlanSetting } from '../cache/plan.ts';
import type { StaticPolicy } from '../cache/policy.ts';
import type { PredictorSpec } from '../cache/predictors/predictor.ts';
import { planReuse } from '../cache/reuse-table.ts';
import { type Span, spanSite } from '../cache/site.ts';
import { OptionError } from '../errors.ts';

/** What it costs in quality to skip a span at a step, and how many blocks it saves. */
export interface SpanChoice {
  readonly span: Span;
  readonly squaredError: number;
}

/**
 * Of each step at most one of its choices, so that `blocks` are saved and the sum of the squared errors is the least that
 * there is (a knapsack, solved exactly).
 * @param choices of each step; none of steps that are full
 * @returns undefined where the steps cannot save as much
 */
export function chooseSpans(
  choices: readonly (readonly SpanChoice[])[],
  blocks: number,
): readonly (Span | undefined)[] | undefined {
  interface Saved {
    readonly error: number;
    readonly spans: readonly (Span | undefined)[];
  }
  const wanted = Math.max(0, Math.ceil(blocks));
  // of the steps so far, the best way to save so many blocks; more than are wanted count as those
  let best = new Map<number, Saved>([[0, { error: 0, spans: [] }]]);
  for (const ofStep of choices) {
    const next = new Map<number, Saved>();
    for (const [saved, { error, spans }] of best) {
      for (const choice of [undefined, ...ofStep]) {
        const key = Math.min(wanted, saved + (choice?.span.count ?? 0));
        const sum = error + (choice?.squaredError ?? 0);
        if (sum < (next.get(key)?.error ?? Number.POSITIVE_INFINITY))
          next.set(key, { error: sum, spans: [...spans, choice?.span] });
      }
    }
    best = next;
  }
  return best.get(wanted)?.spans;
}

/**
 * A span of its own for each step, chosen where its measured error is small: this project's own method. Δ-DiT's rule, rear
 * early and front late, is one such choice; here a model says which span its steps can do without.
 * @param spans of each step, none where it is full
 * @returns a policy whose `plan` throws an OptionError for another number of steps
 */
export function measuredSpans(spans: readonly (Span | undefined)[], predictor: PredictorSpec): StaticPolicy {
  return {
    name: 'measured-spans',
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps } = setting;
      if (numInferenceSteps !== spans.length)
        throw new OptionError(
          `cache measured-spans: measured for ${spans.length} steps, not ${numInferenceSteps}; measure these, or take as many`,
        );
      const reuseAt = (step: number) => (spans[step] ? [spanSite(spans[step])] : []);
      return planReuse({ ...setting, keeps: 'delta', predictor, reuseAt });
    },
  };
}
