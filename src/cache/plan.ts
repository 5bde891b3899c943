import { OptionError } from '../errors.ts';
import type { BranchName } from '../models/block.ts';
import type { RunIdentity } from './fingerprint.ts';
import type { PredictorSpec } from './predictors/predictor.ts';
import { type Site, sameSite, siteKey, touchesBlock } from './site.ts';

/** What happens at one sampling step. A plan is data: made whole before step 0, printable, countable. */
export interface PlanStep {
  /** 0… from noise. */
  readonly step: number;
  /** Sites that this step computes, storing what they give. */
  readonly record: readonly Site[];
  /** Sites that this step does not compute, each predicted from what was stored. None inside another. */
  readonly reuse: readonly Site[];
  /** Which guidance halves are computed. */
  readonly rows: 'both' | 'cond';
}

/**
 * What is kept of a site. Of a span: its residual h_out − h_in (Δ-Cache), or its output h_out (feature cache). Of a
 * branch: its output before the gate ('output'). Of the model: its guided output, the residual output − latents, or the
 * clean latents that the output means ('x0').
 */
export type Keeps = 'delta' | 'output' | 'x0';

export interface CachePlan {
  /** Blocks of the model. */
  readonly depth: number;
  /** Residual branches of each block, in order. */
  readonly branches: readonly BranchName[];
  readonly steps: readonly PlanStep[];
  readonly keeps: Keeps;
  /** How a value is predicted from those that were stored. */
  readonly predictor: PredictorSpec;
}

/** What a plan is made for. */
export interface PlanSetting {
  readonly numInferenceSteps: number;
  readonly depth: number;
  readonly branches: readonly BranchName[];
  /** What the model is told at each step, 999 → 0. */
  readonly timesteps: readonly number[];
  /** For plans that are true of some runs only; compared as far as it is known. */
  readonly run?: RunIdentity | undefined;
}

/** @throws OptionError when a policy's plan is not one for this run. */
export function checkPlan(plan: CachePlan, { numInferenceSteps, depth, branches }: PlanSetting): CachePlan {
  if (plan.steps.length !== numInferenceSteps || plan.depth !== depth) {
    throw new OptionError(
      `plan: expected ${numInferenceSteps} steps of ${depth} blocks, got ${plan.steps.length} of ${plan.depth}; mend the policy's plan()`,
    );
  }
  for (const { step, record, reuse } of plan.steps) {
    const odd = [...record, ...reuse].find((site) => !fits(site, plan, branches));
    if (odd) throw new OptionError(`plan: step ${step} names ${siteKey(odd)} of ${depth}; mend the policy's plan()`);
    const clash = reuse.find((site) => [...reuse, ...record].some((other) => other !== site && overlap(site, other)));
    if (clash) {
      throw new OptionError(
        `plan: step ${step} reuses ${siteKey(clash)} and names another site inside it; mend the policy's plan()`,
      );
    }
  }
  return plan;
}

function fits(site: Site, { depth, keeps }: CachePlan, branches: readonly BranchName[]): boolean {
  if (site.kind === 'model') return true;
  if (keeps === 'x0') return false;
  if (site.kind === 'span') return site.first >= 0 && site.count >= 1 && site.first + site.count <= depth;
  return keeps === 'output' && site.block >= 0 && site.block < depth && branches.includes(site.branch);
}

/** Whether one of two sites lies in the other, or spans share a block. */
export function overlap(a: Site, b: Site): boolean {
  if (a.kind === 'branch' && b.kind === 'branch') return sameSite(a, b);
  const [outer, inner] = a.kind === 'branch' ? [b, a] : [a, b];
  if (inner.kind === 'model' || outer.kind === 'model') return true;
  if (inner.kind === 'branch') return touchesBlock(outer, inner.block);
  return outer.kind === 'span' && outer.first < inner.first + inner.count && inner.first < outer.first + outer.count;
}

/** A site that a step touches, and how many later steps record it before one reuses it; infinite where none does. */
export interface TouchedSite {
  readonly site: Site;
  readonly recordsBeforeReuse: number;
}

/** Of each step the sites that it records or reuses: what the steps after it need of them. */
export function touchedSites({ steps }: CachePlan): readonly (readonly TouchedSite[])[] {
  const ahead = new Map<string, number>(); // of the steps behind, from the last one back
  return steps
    .toReversed()
    .map(({ record, reuse }) => {
      const touched = [...record, ...reuse].map((site) => ({ site, key: siteKey(site) }));
      const needed = touched.map(({ site, key }) => ({
        site,
        recordsBeforeReuse: ahead.get(key) ?? Number.POSITIVE_INFINITY,
      }));
      for (const { site, key } of touched)
        ahead.set(key, reuse.includes(site) ? 0 : (ahead.get(key) ?? Number.POSITIVE_INFINITY) + 1);
      return needed;
    })
    .reverse();
}

/** Block evaluations that a step saves, per guidance half; a branch counts for its share of a block. */
export function blocksReused({ depth, branches }: CachePlan, { reuse }: PlanStep): number {
  const ofBranches = reuse.filter(({ kind }) => kind === 'branch').length;
  const whole = reuse.reduce((sum, site) => {
    if (site.kind === 'branch') return sum;
    return sum + (site.kind === 'model' ? depth : site.count);
  }, 0);
  return whole + ofBranches / branches.length;
}

/** Block evaluations of a plan, per guidance half; a branch counts for its share of a block. */
export function countBlocks(plan: CachePlan): { computed: number; reused: number } {
  const reused = plan.steps.reduce((sum, step) => sum + blocksReused(plan, step), 0);
  return { computed: plan.depth * plan.steps.length - reused, reused };
}

/** Every step full, nothing recorded. */
export function uncachedPlan({ numInferenceSteps, depth, branches }: Omit<PlanSetting, 'timesteps'>): CachePlan {
  const steps = Array.from(
    { length: numInferenceSteps },
    (_, step): PlanStep => ({ step, record: [], reuse: [], rows: 'both' }),
  );
  return { depth, branches, steps, keeps: 'delta', predictor: { name: 'hold' } };
}

/**
 * The steps × blocks picture of a plan, one line a step, from noise to image: `#` computed, `+` computed and stored,
 * `.` skipped, `-` computed in part: some of its branches are reused.
 */
export function drawPlan(plan: CachePlan): string {
  const width = String(plan.steps.length - 1).length;
  const cells = planCells(plan).map((column) => column.map((cell) => SIGNS[cell]).join(''));
  return plan.steps
    .map(({ step, reuse }, i) => `${String(step).padStart(width)} ${cells[i]} ${reuse.length > 0 ? 'cached' : 'full'}`)
    .join('\n');
}

/** What a step does with a block; `partly`: some of its branches are reused. */
export type PlanCell = 'computed' | 'recorded' | 'reused' | 'partly';

const SIGNS: Readonly<Record<PlanCell, string>> = { computed: '#', recorded: '+', reused: '.', partly: '-' };

/** Of each step, from noise to image, what it does with each block. */
export function planCells(plan: CachePlan): readonly (readonly PlanCell[])[] {
  return plan.steps.map((step) => Array.from({ length: plan.depth }, (_, block) => cellOf(plan, step, block)));
}

function cellOf({ branches }: CachePlan, { record, reuse }: PlanStep, block: number): PlanCell {
  const reused = reuse.filter((site) => touchesBlock(site, block));
  if (reused.some(({ kind }) => kind !== 'branch') || reused.length === branches.length) return 'reused';
  if (reused.length > 0) return 'partly';
  return record.some((site) => touchesBlock(site, block)) ? 'recorded' : 'computed';
}
