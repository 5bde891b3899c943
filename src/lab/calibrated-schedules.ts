import { OptionError } from '../errors.ts';

/** Whether each step computes, from noise. */
export type ComputedSteps = readonly boolean[];

/**
 * SmoothCache's rule (arXiv 2411.10510; `_scan_nrows_sublists` of github.com/Roblox/SmoothCache): from a computed step
 * jump to the farthest k whose error does not exceed α, holding the steps up to and with it; the next one is computed.
 * The last step always is.
 * @param errors [k − 1][i]: of holding what step i gave at step i + k
 * @param threshold α
 */
export function smoothCacheSteps(
  errors: readonly (readonly number[])[],
  threshold: number,
  numInferenceSteps: number,
): ComputedSteps {
  const computed = Array<boolean>(numInferenceSteps).fill(true);
  for (let step = 0; step < numInferenceSteps; ) {
    const held = errors.findLastIndex((ofDistance) => (ofDistance[step] ?? Number.POSITIVE_INFINITY) <= threshold) + 1;
    computed.fill(false, step + 1, step + 1 + held);
    step += held + 1;
  }
  computed[numInferenceSteps - 1] = true;
  return computed;
}

export interface MagCacheRule {
  /** E: what the accumulated error must not exceed. */
  readonly threshold: number;
  /** K: steps skipped in a row, at most. */
  readonly maxSkip: number;
  /** R: the part of the steps, from noise, that are all computed. */
  readonly retention: number;
}

/** diffusers' defaults; for FLUX.1 the authors take 0.24, 5 and 0.1. */
export const MAGCACHE_RULE: MagCacheRule = { threshold: 0.06, maxSkip: 3, retention: 0.2 };

/**
 * MagCache's rule (arXiv 2506.09045; `MagCacheHeadHook` of diffusers, by the authors): after the retained steps the ratio
 * m of the magnitudes is multiplied up and the error Σ|1 − m| added up; a step is skipped while that does not exceed E,
 * K in a row at most; a computed step sets both back.
 * @param ratios one a step, the first 1
 */
export function magCacheSteps(ratios: readonly number[], rule: MagCacheRule): ComputedSteps {
  const { threshold, maxSkip, retention } = rule;
  const retained = Math.floor(retention * ratios.length + 0.5);
  let [magnitude, error, skipped] = [1, 0, 0];
  return ratios.map((ratio, step) => {
    if (step < retained) return true;
    magnitude *= ratio;
    error += Math.abs(1 - magnitude);
    skipped += 1;
    if (step > 0 && error <= threshold && skipped <= maxSkip) return false;
    [magnitude, error, skipped] = [1, 0, 0];
    return true;
  });
}

/** @throws OptionError */
export function checkMagCacheRule({ threshold, maxSkip, retention }: MagCacheRule): void {
  if (threshold >= 0 && maxSkip >= 0 && retention >= 0 && retention <= 1) return;
  throw new OptionError(
    `threshold, maxSkip, retention: expected numbers from 0 up, retention to 1; got ${threshold}, ${maxSkip}, ${retention}`,
  );
}
