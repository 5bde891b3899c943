import type { CachePlan } from '../../src/cache/plan.ts';

/** A plan in words, one a step: full, or the first block that is skipped and how many. */
export function reuseOf(plan: CachePlan): string[] {
  return plan.steps.map(({ reuse }) => (reuse ? `${reuse.first}+${reuse.count}` : 'full'));
}

/** The spans that each step records. */
export function recordsOf(plan: CachePlan): string[] {
  return plan.steps.map(({ record }) => record.map(({ first, count }) => `${first}+${count}`).join(' '));
}
