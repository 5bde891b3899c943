/**
 * Δ-DiT's stage planner (arXiv 2406.01125, §4). The paper's symbols and ours, once:
 * N `interval`, N_c `cachedBlocks`, b `stageBound`, N_b `depth`, Δ `delta`, T `numInferenceSteps`.
 */
import { OptionError } from '../errors.ts';
import type { CachePlan, PlanSetting, PlanStep } from './plan.ts';
import type { PredictorSpec } from './predictors/predictor.ts';
import { type Site, type Span, sameSite, spanSite } from './site.ts';

export interface StageOptions extends Omit<PlanSetting, 'timesteps'> {
  /** N: one full step, then N − 1 cached ones. 1 caches nothing. */
  readonly interval: number;
  /** What a cached step skips, by its index from noise; nothing where it is full. */
  readonly sitesAt: (step: number) => readonly Site[];
  readonly keeps: CachePlan['keeps'];
  /** Default: hold. */
  readonly predictor?: PredictorSpec | undefined;
}

/**
 * Lays the period N over the steps. A full step records every site that its cached steps use. The T mod N left-over
 * steps come last and are full: the paper's budget formula counts them so.
 */
export function planStages(stages: StageOptions): CachePlan {
  const { numInferenceSteps, depth, branches, interval, sitesAt, keeps, predictor = { name: 'hold' } } = stages;
  const periodic = numInferenceSteps - (numInferenceSteps % interval);
  const sitesOf = (step: number) => (step < periodic && step % interval !== 0 ? sitesAt(step) : []);
  const steps = Array.from({ length: numInferenceSteps }, (_, step): PlanStep => {
    const reuse = sitesOf(step);
    const record: Site[] = [];
    if (reuse.length === 0 && step < periodic) {
      for (let later = step + 1; later < step + interval; later++) {
        for (const site of sitesOf(later)) if (!record.some((other) => sameSite(other, site))) record.push(site);
      }
    }
    return { step, record, reuse, rows: 'both' };
  });
  return { depth, branches, steps, keeps, predictor };
}

/** A span as the sites of a step; none where it is empty. */
export function spanSites(span: Span): readonly Site[] {
  return span.count === 0 ? [] : [spanSite(span)];
}

/** Which blocks a cached region covers. */
export interface RegionOptions {
  readonly cachedBlocks: number;
  /** Blocks before the front span; the paper's figures suggest 0 or 1. */
  readonly frontOffset: number;
  /** Blocks before the rear span; by default the span ends with the last block. */
  readonly rearOffset: number;
}

export interface DeltaDiTStages extends RegionOptions, Omit<PlanSetting, 'timesteps'> {
  readonly interval: number;
  /** b: the first b steps from noise cache the rear span, later ones the front span. */
  readonly stageBound: number;
  /** Default: hold. */
  readonly predictor?: PredictorSpec | undefined;
}

/** Rear span before step b, front span from it on: early steps draw outlines, which the front blocks carry. */
export function planDeltaDiT(stages: DeltaDiTStages): CachePlan {
  const { cachedBlocks: count, frontOffset, rearOffset, stageBound } = stages;
  return planStages({
    ...stages,
    keeps: 'delta',
    sitesAt: (step) => spanSites({ first: step < stageBound ? rearOffset : frontOffset, count }),
  });
}

/** b where none is given: 2·round(0.3·T), which is the paper's 12 at T = 20 and 2 at T = 4. */
export function defaultStageBound(numInferenceSteps: number): number {
  return Math.min(2 * Math.round(0.3 * numInferenceSteps), numInferenceSteps);
}

/** Up to so many steps a model counts as one of few steps, which cache less: LCM's 4 in Table 3. */
export const FEW_STEPS = 8;

/** N_c where none is given: 21 of 28 (Tables 2 and 4), 6 of 28 for few-step models (Table 3). */
export function defaultCachedBlocks(numInferenceSteps: number, depth: number): number {
  return Math.round((depth * (numInferenceSteps <= FEW_STEPS ? 6 : 21)) / 28);
}

/** N where none is given: 2, as in every setting of the paper; 1 where there is one step only. */
export function defaultInterval(numInferenceSteps: number): number {
  return Math.min(2, numInferenceSteps);
}

/** @throws OptionError unless `value` is a whole number from `min` to `max`. */
export function checkWhole(name: string, value: number, min: number, max: number, meaning: string): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new OptionError(`${name}: expected a whole number from ${min} to ${max} (${meaning}), got ${value}`);
  }
}

/** @throws OptionError when `first` does not leave room for the span. */
export function checkOffset(name: string, first: number, cachedBlocks: number, depth: number): void {
  checkWhole(name, first, 0, depth - cachedBlocks, `the depth, ${depth}, less cachedBlocks`);
}
