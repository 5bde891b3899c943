import type { PolynomialArtifact, TableArtifact } from '../cache/artifact.ts';
import type { PlanSetting } from '../cache/plan.ts';
import { branchSites, planReuse } from '../cache/reuse-table.ts';
import { spanSite } from '../cache/site.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import type { BlockRunner, BranchName } from '../models/block.ts';
import { BranchErrors } from './branch-errors.ts';
import { BranchMeter } from './branch-meter.ts';
import {
  checkMagCacheRule,
  MAGCACHE_RULE,
  type MagCacheRule,
  magCacheSteps,
  smoothCacheSteps,
} from './calibrated-schedules.ts';
import { fitPolynomial } from './polynomial-fit.ts';
import { meanOf } from './spread.ts';
import { StackMeter, type StackReading } from './stack-meter.ts';

/** What a method needs measured, and what it makes of it. */
export interface Calibration {
  /** Of a batch: the runner of each step. */
  meter(): { atStep(step: number): BlockRunner; dispose(): void };
  /** Once all batches are measured. */
  found(): Found;
}

type Found = Omit<TableArtifact, 'method' | 'fingerprint'> | Omit<PolynomialArtifact, 'method' | 'fingerprint'>;

export interface SmoothCacheRule {
  /** α. Default 0.18, the authors' for 50 steps. */
  readonly threshold?: number | undefined;
  /** Steps that a value is held for, at most. Default 3. */
  readonly lookahead?: number | undefined;
}

/**
 * SmoothCache (arXiv 2411.10510; `CalibrationHelper` of github.com/Roblox/SmoothCache): of each kind of branch the mean
 * over its blocks of Σ|yᵢ − yᵢ₊ₖ| ÷ Σ|yᵢ₊ₖ|, sums over all pictures and both guidance halves; `smoothCacheSteps` of it.
 */
export function smoothCacheCalibration(rule: SmoothCacheRule, setting: PlanSetting): Calibration {
  const { threshold = 0.18, lookahead = 3 } = rule;
  checkWhole('lookahead', lookahead, 1, Math.max(1, setting.numInferenceSteps - 1), 'steps');
  const errors = new BranchErrors();
  return {
    meter: () => new BranchMeter(lookahead, (reading) => errors.add(reading)),
    found: () => {
      const { numInferenceSteps: steps } = setting;
      const measured = new Map(setting.branches.map((branch) => [branch, errors.of(branch, steps, lookahead)]));
      const computed = new Map([...measured].map(([branch, of]) => [branch, smoothCacheSteps(of, threshold, steps)]));
      const held = (step: number): BranchName[] => setting.branches.filter((name) => !computed.get(name)?.[step]);
      return {
        options: { threshold, lookahead },
        plan: planReuse({ ...setting, keeps: 'output', reuseAt: (step) => branchSites(setting, held(step)) }),
        measured: { errors: Object.fromEntries([...measured].map(([branch, of]) => [branch, of.map(rounded)])) },
      };
    },
  };
}

/**
 * MagCache (arXiv 2506.09045; `_perform_calibration_step` of diffusers): the mean over rows and tokens of ‖rᵢ‖ ÷ ‖rᵢ₋₁‖,
 * r the residual of all blocks; `magCacheSteps` of it.
 */
export function magCacheCalibration(given: Partial<MagCacheRule>, setting: PlanSetting): Calibration {
  const { depth, numInferenceSteps } = setting;
  const rule = { ...MAGCACHE_RULE, ...given };
  checkMagCacheRule(rule);
  const readings: StackReading[] = [];
  return {
    meter: () => new StackMeter((reading) => readings.push(reading)),
    found: () => {
      const ratios = Array.from({ length: numInferenceSteps }, (_, step) => {
        if (step === 0) return 1;
        return meanOf(readings.filter((reading) => reading.step === step).map(({ magnitudeRatio }) => magnitudeRatio));
      });
      const computed = magCacheSteps(ratios, rule);
      const stack = spanSite({ first: 0, count: depth });
      return {
        options: { ...rule },
        plan: planReuse({ ...setting, keeps: 'delta', reuseAt: (step) => (computed[step] ? [] : [stack]) }),
        measured: { ratios: rounded(ratios) },
      };
    },
  };
}

/** The polynomial's in TeaCache's code. */
const DEGREE = 4;

/**
 * TeaCache (arXiv 2411.19108): the polynomial from the relative change of the first block's modulated input to that of
 * the tokens after the last block, a point a step and row. The authors name `np.polyfit(x, y, 4)` over all steps
 * (github.com/ali-vilab/TeaCache, issue 2).
 */
export function teaCacheCalibration(): Calibration {
  const readings: StackReading[] = [];
  return {
    meter: () => new StackMeter((reading) => readings.push(reading)),
    found: () => {
      const [input, output] = [readings.map((one) => one.inputChange), readings.map((one) => one.outputChange)];
      const coefficients = fitPolynomial(input, output, DEGREE);
      return { coefficients, measured: { input: rounded(input), output: rounded(output) } };
    },
  };
}

/** A float32 sum over a hundred thousand values has no more. */
const DIGITS = 6;

function rounded(values: readonly number[]): number[] {
  return values.map((value) => Number(value.toPrecision(DIGITS)));
}
