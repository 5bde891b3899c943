import { type CachePlan, overlap, type PlanSetting, type PlanStep } from './plan.ts';
import { predictorOf } from './predictors/named.ts';
import type { PredictorSpec } from './predictors/predictor.ts';
import { type Site, siteKey } from './site.ts';

/** A schedule by what each step skips. */
export interface ReuseTable extends Pick<PlanSetting, 'numInferenceSteps' | 'depth' | 'branches'> {
  /** The sites that a step does not compute, none inside another. */
  readonly reuseAt: (step: number) => readonly Site[];
  readonly keeps: CachePlan['keeps'];
  /** Default: hold. */
  readonly predictor?: PredictorSpec | undefined;
}

/**
 * The plan of a table. What a step records follows from it: the sites that it computes and a later step predicts from,
 * which looks back as many computed steps as its predictor does.
 */
export function planReuse(table: ReuseTable): CachePlan {
  const { numInferenceSteps, depth, branches, reuseAt, keeps, predictor = { name: 'hold' } } = table;
  const reuses = Array.from({ length: numInferenceSteps }, (_, step) => reuseAt(step));
  const records = recordsFor(reuses, predictorOf(predictor).history);
  const steps = reuses.map((reuse, step): PlanStep => ({ step, record: records[step] ?? [], reuse, rows: 'both' }));
  return { depth, branches, steps, keeps, predictor };
}

/** @param history computed steps that a prediction looks at, at most @returns a list for each step */
export function recordsFor(reuses: readonly (readonly Site[])[], history: number): readonly (readonly Site[])[] {
  const records = reuses.map((): Site[] => []);
  const sites = new Map(reuses.flat().map((site) => [siteKey(site), site]));
  for (const [key, site] of sites) {
    let wanted = 0;
    for (let step = reuses.length - 1; step >= 0; step--) {
      const reuse = reuses[step] ?? [];
      if (reuse.some((other) => siteKey(other) === key)) wanted = history;
      else if (wanted > 0 && !reuse.some((other) => overlap(other, site))) {
        records[step]?.push(site);
        wanted -= 1;
      }
    }
  }
  return records;
}

/** Every residual branch of every block, block by block. @param branches all where left out */
export function branchSites(
  setting: Pick<PlanSetting, 'depth' | 'branches'>,
  branches: PlanSetting['branches'] = setting.branches,
): readonly Site[] {
  return Array.from({ length: setting.depth }, (_, block) =>
    branches.map((branch): Site => ({ kind: 'branch', block, branch })),
  ).flat();
}
