import { OptionError } from '../errors.ts';
import type { DiTConfig } from '../models/dit-config.ts';
import { classIndex } from './labels.ts';
import type { DiTRunDescription } from './report.ts';
import { type CheckedRun, checkedRun, type RunOptions, type RunSetting } from './run-options.ts';

export interface DiTGenerateOptions extends RunOptions {
  /** One picture each: class numbers, or names where the checkpoint has them. One may stand without a list. */
  readonly classLabels: number | string | readonly (number | string)[];
}

/** What the options are checked against. */
export interface DiTSetting extends RunSetting {
  readonly config: DiTConfig;
  readonly labels: readonly string[];
}

export interface CheckedDiTRun extends CheckedRun, Pick<DiTRunDescription, 'classLabels'> {}

/** @throws OptionError or ShapeError as `DiTPipeline.generate`. */
export function checkedDiTRun(setting: DiTSetting, options: DiTGenerateOptions): CheckedDiTRun {
  const { config, labels } = setting;
  const { inputSize, inChannels } = config;
  const wanted = [options.classLabels ?? []].flat();
  if (wanted.length === 0) throw new OptionError('classLabels: expected at least one class, got none');
  const classLabels = wanted.map((label) => classIndex(label, labels, config.numClasses));
  const shape = [classLabels.length, inputSize, inputSize, inChannels] as const;
  return { classLabels, ...checkedRun(setting, options, { shape, bothHalves: true }) };
}
