import { OptionError } from '../errors.ts';

/** A run of consecutive blocks, [first, first + count). */
export interface Span {
  readonly first: number;
  readonly count: number;
}

/** What happens at one sampling step. A plan is data: made whole before step 0, printable, countable. */
export interface PlanStep {
  /** 0… from noise. */
  readonly step: number;
  /** Spans whose residual this step stores, computing all their blocks. */
  readonly record: readonly Span[];
  /** The span this step skips, taking what was recorded; null at a full step. */
  readonly reuse: Span | null;
  /** Which guidance halves are computed. */
  readonly rows: 'both' | 'cond';
}

export interface CachePlan {
  /** Blocks of the model. */
  readonly depth: number;
  readonly steps: readonly PlanStep[];
  /** What a span keeps: its residual h_out − h_in (Δ-Cache), or its output h_out (feature cache). */
  readonly keeps: 'delta' | 'output';
}

/** What a plan is made for. */
export interface PlanSetting {
  readonly numInferenceSteps: number;
  readonly depth: number;
}

/** A cache method that decides everything before step 0. */
export interface CachePolicy {
  /** Shown in reports and written into images. */
  readonly name: string;
  /** @throws OptionError when its options do not fit the model or the number of steps. */
  plan(setting: PlanSetting): CachePlan;
}

export function sameSpan(a: Span, b: Span): boolean {
  return a.first === b.first && a.count === b.count;
}

/** @throws OptionError when a policy's plan is not one for this run: another length or depth, or a span past the end. */
export function checkPlan(plan: CachePlan, { numInferenceSteps, depth }: PlanSetting): CachePlan {
  if (plan.steps.length !== numInferenceSteps || plan.depth !== depth) {
    throw new OptionError(
      `plan: expected ${numInferenceSteps} steps of ${depth} blocks, got ${plan.steps.length} of ${plan.depth}; mend the policy's plan()`,
    );
  }
  for (const { step, record, reuse } of plan.steps) {
    const odd = [...record, ...(reuse ? [reuse] : [])].find(
      ({ first, count }) => first < 0 || count < 1 || first + count > depth,
    );
    if (odd)
      throw new OptionError(
        `plan: step ${step} names blocks ${odd.first}+${odd.count} of ${depth}; mend the policy's plan()`,
      );
  }
  return plan;
}

/** Whether a step after `step` reuses the span before it is recorded again. */
export function isTakenAfter(plan: CachePlan, step: number, span: Span): boolean {
  const next = plan.steps
    .slice(step + 1)
    .find(({ record, reuse }) => [...record, reuse].some((other) => other && sameSpan(other, span)));
  return next?.reuse != null && sameSpan(next.reuse, span);
}

/** Block evaluations of a plan, per guidance half. */
export function countBlocks(plan: CachePlan): { computed: number; reused: number } {
  const reused = plan.steps.reduce((sum, { reuse }) => sum + (reuse?.count ?? 0), 0);
  return { computed: plan.depth * plan.steps.length - reused, reused };
}

/** Every step full, nothing recorded. */
export function uncachedPlan({ numInferenceSteps, depth }: PlanSetting): CachePlan {
  const steps = Array.from(
    { length: numInferenceSteps },
    (_, step): PlanStep => ({ step, record: [], reuse: null, rows: 'both' }),
  );
  return { depth, steps, keeps: 'delta' };
}

/**
 * The steps × blocks picture of a plan, one line a step, from noise to image:
 * `#` computed, `+` computed and its span recorded, `.` skipped.
 */
export function drawPlan(plan: CachePlan): string {
  const width = String(plan.steps.length - 1).length;
  const inside = (span: Span, block: number) => block >= span.first && block < span.first + span.count;
  return plan.steps
    .map(({ step, record, reuse }) => {
      const cells = Array.from({ length: plan.depth }, (_, block) => {
        if (reuse && inside(reuse, block)) return '.';
        return record.some((span) => inside(span, block)) ? '+' : '#';
      });
      return `${String(step).padStart(width)} ${cells.join('')} ${reuse ? 'cached' : 'full'}`;
    })
    .join('\n');
}
