import type { CachePlan, PlanSetting } from '../../src/cache/plan.ts';
import { type CachePolicy, isStatic } from '../../src/cache/policy.ts';
import type { Site } from '../../src/cache/site.ts';

/** What a plan is made for, of a DiT unless other branches are given. */
export function planSetting(
  numInferenceSteps: number,
  depth: number,
  branches: PlanSetting['branches'] = ['self', 'mlp'],
): PlanSetting {
  const timesteps = Array.from(
    { length: numInferenceSteps },
    (_, i) => 999 - Math.floor((i * 1000) / numInferenceSteps),
  );
  return { numInferenceSteps, depth, branches, timesteps };
}

/** The plan of a method that makes one. */
export function staticPlan(policy: CachePolicy, setting: PlanSetting): CachePlan {
  if (!isStatic(policy)) throw new Error(`${policy.name} has no plan`);
  return policy.plan(setting);
}

/** A plan in words, one a step: full, or the first block that is skipped and how many. */
export function reuseOf(plan: CachePlan): string[] {
  return plan.steps.map(({ reuse }) => (reuse.length > 0 ? wordsOf(reuse) : 'full'));
}

/** The spans that each step records. */
export function recordsOf(plan: CachePlan): string[] {
  return plan.steps.map(({ record }) => wordsOf(record));
}

function wordsOf(sites: readonly Site[]): string {
  return sites
    .map((site) => {
      if (site.kind === 'span') return `${site.first}+${site.count}`;
      return site.kind === 'model' ? 'model' : `${site.block}.${site.branch}`;
    })
    .join(' ');
}
