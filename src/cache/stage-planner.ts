/**
 * Δ-DiT's stage planner (arXiv 2406.01125, §4). The paper's symbols and ours, once:
 * N `interval`, N_c `cachedBlocks`, b `stageBound`, N_b `depth`, Δ `delta`, T `numInferenceSteps`.
 */
import { OptionError } from '../errors.ts';
import { type CachePlan, type PlanSetting, type PlanStep, type Span, sameSpan } from './plan.ts';

export interface StageOptions extends PlanSetting {
  /** N: one full step, then N − 1 cached ones. 1 caches nothing. */
  readonly interval: number;
  /** The span that a cached step skips, by its index from noise; null where nothing is cached. */
  readonly spanAt: (step: number) => Span | null;
  readonly keeps: CachePlan['keeps'];
}

/**
 * Lays the period N over the steps. A full step records every span that its cached steps use. The T mod N left-over
 * steps come last and are full: the paper's budget formula counts them so.
 */
export function planStages({ numInferenceSteps, depth, interval, spanAt, keeps }: StageOptions): CachePlan {
  const periodic = numInferenceSteps - (numInferenceSteps % interval);
  const spanOf = (step: number) => (step < periodic && step % interval !== 0 ? spanAt(step) : null);
  const steps = Array.from({ length: numInferenceSteps }, (_, step): PlanStep => {
    const reuse = spanOf(step);
    const record: Span[] = [];
    if (!reuse && step < periodic) {
      for (let later = step + 1; later < step + interval; later++) {
        const span = spanOf(later);
        if (span && !record.some((other) => sameSpan(other, span))) record.push(span);
      }
    }
    return { step, record, reuse, rows: 'both' };
  });
  return { depth, steps, keeps };
}

/** Which blocks a cached region covers. */
export interface RegionOptions {
  readonly cachedBlocks: number;
  /** Blocks before the front span; the paper's figures suggest 0 or 1. */
  readonly frontOffset: number;
  /** Blocks before the rear span; by default the span ends with the last block. */
  readonly rearOffset: number;
}

export interface DeltaDiTStages extends RegionOptions, PlanSetting {
  readonly interval: number;
  /** b: the first b steps from noise cache the rear span, later ones the front span. */
  readonly stageBound: number;
}

/** Rear span before step b, front span from it on: early steps draw outlines, which the front blocks carry. */
export function planDeltaDiT(stages: DeltaDiTStages): CachePlan {
  const { cachedBlocks: count, frontOffset, rearOffset, stageBound } = stages;
  return planStages({
    ...stages,
    keeps: 'delta',
    spanAt: (step) => (count === 0 ? null : { first: step < stageBound ? rearOffset : frontOffset, count }),
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
