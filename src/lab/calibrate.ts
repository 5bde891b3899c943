import type { CacheArtifact } from '../cache/artifact.ts';
import { fingerprintOf } from '../cache/fingerprint.ts';
import type { PlanSetting } from '../cache/plan.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import { OptionError } from '../errors.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import type { AnalysedPicture } from './analyse.ts';
import type { BenchProgress } from './bench-progress.ts';
import {
  type Calibration,
  magCacheCalibration,
  type SmoothCacheRule,
  smoothCacheCalibration,
  teaCacheCalibration,
} from './calibrations.ts';
import { prepareSubjects } from './subjects.ts';

export const CALIBRATION_METHODS = ['smoothcache', 'magcache', 'teacache'] as const;
export type CalibrationMethod = (typeof CALIBRATION_METHODS)[number];

/** Of all methods; each takes its own. */
export interface CalibrationRules extends SmoothCacheRule {
  /** Of MagCache, see `MagCacheRule`. */
  readonly maxSkip?: number | undefined;
  readonly retention?: number | undefined;
}

type SamplingOptions = Pick<
  PaintOptions,
  'numInferenceSteps' | 'timesteps' | 'guidanceScale' | 'sampler' | 'eta' | 'signal'
>;

export interface CalibrateOptions extends SamplingOptions {
  readonly method: CalibrationMethod;
  /** The more they differ, the more pictures the result is true of; SmoothCache's authors take 10. */
  readonly pictures: readonly AnalysedPicture[];
  readonly rules?: CalibrationRules | undefined;
  /** Pictures that run through the model together. Default 8. */
  readonly batchSize?: number | undefined;
  /** Called after each step of each batch, and before them after each layer of the text encoder. */
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

/**
 * Makes pictures without a cache, measures what a method needs, and lays down its schedule or coefficients: true of this
 * model, sampler, steps, guidance and size, which the artifact says. SmoothCache holds 3 outputs of every branch while it
 * measures; the others a few tensors of the size of the tokens.
 * @throws as `generate` does; OptionError also for no pictures, and for rules that are another method's
 */
export async function calibrate(painter: Painter, options: CalibrateOptions): Promise<CacheArtifact> {
  const { method, pictures, batchSize = 8 } = options;
  if (pictures.length === 0) throw new OptionError('pictures: expected at least one, got none');
  checkWhole('batchSize', batchSize, 1, Number.MAX_SAFE_INTEGER, 'pictures');
  const subjects = pictures.map(({ subject }) => subject);
  const setting = await settingOf(painter, subjects, options);
  const calibration = calibrationOf(method, options.rules ?? {}, setting);
  await prepareSubjects(painter, subjects, options);
  await measure(painter, { ...options, batchSize }, calibration, setting.numInferenceSteps);
  return { method, fingerprint: fingerprintOf(setting), ...calibration.found() };
}

const RULES: Readonly<Record<CalibrationMethod, readonly string[]>> = {
  smoothcache: ['threshold', 'lookahead'],
  magcache: ['threshold', 'maxSkip', 'retention'],
  teacache: [],
};

function calibrationOf(method: CalibrationMethod, rules: CalibrationRules, setting: PlanSetting): Calibration {
  const given = Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined));
  const odd = Object.keys(given).find((name) => !RULES[method].includes(name));
  if (odd !== undefined) {
    const own = RULES[method].length > 0 ? `it takes ${RULES[method].join(', ')}` : 'it takes none';
    throw new OptionError(`${odd}: is no rule of ${method}; ${own}`);
  }
  if (method === 'smoothcache') return smoothCacheCalibration(given, setting);
  return method === 'magcache' ? magCacheCalibration(given, setting) : teaCacheCalibration();
}

/** What the runs are, as a later run is compared with it. */
async function settingOf(
  painter: Painter,
  subjects: readonly string[],
  options: CalibrateOptions,
): Promise<PlanSetting> {
  const { numInferenceSteps, timesteps } = options;
  const described = await painter.describe(subjects, runOf(options, options.pictures));
  const { sampler, guidanceScale } = described;
  const isSized = 'paintedWidth' in described;
  const painted = isSized ? { width: described.paintedWidth, height: described.paintedHeight } : undefined;
  return painter.pipe.planSetting({ numInferenceSteps, timesteps, sampler, guidanceScale, painted });
}

function runOf(options: SamplingOptions, pictures: readonly AnalysedPicture[]): PaintOptions {
  const { numInferenceSteps, timesteps, guidanceScale, sampler, eta, signal } = options;
  const seed = pictures.map((picture) => picture.seed);
  return { seed, numInferenceSteps, timesteps, guidanceScale, sampler, eta, signal };
}

async function measure(
  painter: Painter,
  options: CalibrateOptions & { readonly batchSize: number },
  calibration: Calibration,
  steps: number,
): Promise<void> {
  const { pictures, batchSize, onProgress } = options;
  for (let from = 0; from < pictures.length; from += batchSize) {
    const batch = pictures.slice(from, from + batchSize);
    const meter = calibration.meter();
    const run: PaintOptions = {
      ...runOf(options, batch),
      runBlocks: (step) => meter.atStep(step),
      onStep: ({ step }) => {
        const done = (from + (batch.length * (step + 1)) / steps) / pictures.length;
        onProgress?.({ done, what: `step ${step + 1}/${steps}` });
      },
    };
    const subjects = batch.map(({ subject }) => subject);
    await painter.paint(subjects, run).finally(() => meter.dispose());
  }
}
