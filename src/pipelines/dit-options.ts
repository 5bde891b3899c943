import type * as tf from '@tensorflow/tfjs-core';
import { type CachePlan, type CachePolicy, checkPlan, uncachedPlan } from '../cache/plan.ts';
import type { BlockDelta } from '../cache/record-deltas.ts';
import { OptionError } from '../errors.ts';
import type { BlockRunner } from '../models/block.ts';
import type { DiTCheckpoint, SamplingDefaults } from '../models/dit-checkpoint.ts';
import type { DiTConfig } from '../models/dit-config.ts';
import { checkSteps } from '../schedulers/noise-schedule.ts';
import type { NoiseSource, Sampler } from '../schedulers/sampler.ts';
import { addsNoise, createSampler, type SamplerName, samplerOf } from '../schedulers/samplers.ts';
import { noiseSchedule } from '../schedulers/scheduler-config.ts';
import { assertShape } from '../shape.ts';
import { classIndex } from './labels.ts';
import { torchNoise } from './noise.ts';
import type { RunDescription } from './report.ts';
import type { StepEvent } from './sample.ts';

export interface DiTGenerateOptions {
  /** One picture each: class numbers, or names where the checkpoint has them. One may stand without a list. */
  readonly classLabels: number | string | readonly (number | string)[];
  /** Default: the checkpoint's, else 50. */
  readonly numInferenceSteps?: number | undefined;
  /** At most 1 means no guidance. Default: the checkpoint's, else 4. */
  readonly guidanceScale?: number | undefined;
  /** Default: the one that the checkpoint's scheduler_config.json means, else 'ddim'. */
  readonly sampler?: SamplerName | undefined;
  /** η of a DDIM: 0, the default, adds no noise, 1 as much as DDPM. */
  readonly eta?: number | undefined;
  /** One for all pictures (one torch generator draws them in order), or one each. Default: random, see the report. */
  readonly seed?: number | readonly number[] | undefined;
  /** Initial noise [N,H,W,C], borrowed; the seed is then for the noise of the steps alone. */
  readonly latents?: tf.Tensor4D | undefined;
  /** A cache method, such as `deltaDiT()`. */
  readonly cache?: CachePolicy | undefined;
  /** A cache method of your own, instead of `cache`: the block runner of each step. */
  readonly runBlocks?: ((step: number) => BlockRunner) | undefined;
  /** Called, and awaited, after each step. */
  readonly onStep?: ((event: StepEvent) => void | Promise<void>) | undefined;
  /** Called with the residual of every block that is evaluated; costs one subtraction a block. */
  readonly onBlockDelta?: ((event: BlockDelta & { readonly step: number }) => void | Promise<void>) | undefined;
  /** Stops between steps; everything is freed. */
  readonly signal?: AbortSignal | undefined;
}

/** What the options are checked against. */
export interface DiTSetting extends Pick<DiTCheckpoint, 'labels' | 'scheduler'> {
  readonly config: DiTConfig;
  readonly defaults: SamplingDefaults;
}

/** The options of a run, found to be right, defaults filled in. */
export interface CheckedRun extends Pick<RunDescription, 'classLabels' | 'guidanceScale' | 'cache' | 'eta' | 'seeds'> {
  readonly plan: CachePlan;
  /** Whether the caller runs the blocks, so that the plan says nothing. */
  readonly ownRunner: boolean;
  readonly samplerName: SamplerName;
  /** Fresh: the run disposes it. */
  readonly sampler: Sampler;
  /** The initial latents, fresh. */
  readonly noise: () => tf.Tensor4D;
  readonly stepNoise: NoiseSource;
}

/** @throws OptionError or ShapeError as `DiTPipeline.generate`. */
export function checkedRun(setting: DiTSetting, options: DiTGenerateOptions): CheckedRun {
  const { numInferenceSteps = setting.defaults.numInferenceSteps, eta = 0 } = options;
  const { guidanceScale = setting.defaults.guidanceScale, sampler: samplerName = samplerOf(setting.scheduler) } =
    options;
  const classLabels = classesOf(setting, options);
  if (options.cache && options.runBlocks)
    throw new OptionError('cache and runBlocks: expected one of the two, got both');
  if (!Number.isFinite(guidanceScale)) throw new OptionError(`guidanceScale: expected a number, got ${guidanceScale}`);
  const sampler = createSampler(samplerName, { numInferenceSteps, eta, scheduler: setting.scheduler });
  const plan = planOf(setting, { numInferenceSteps, cache: options.cache });
  const noises = noisesOf(setting, options, classLabels.length, guidanceScale > 1 ? 2 : 1);
  const seeds = options.latents && !addsNoise(samplerName, eta) ? [] : noises.seeds;
  const cache = options.cache?.name ?? null;
  const ownRunner = options.runBlocks !== undefined;
  return { classLabels, guidanceScale, cache, plan, ownRunner, sampler, samplerName, eta, ...noises, seeds };
}

/** @throws OptionError for steps out of range, or cache options that do not fit. */
export function planOf(
  { config, defaults, scheduler }: DiTSetting,
  { numInferenceSteps = defaults.numInferenceSteps, cache }: Pick<DiTGenerateOptions, 'numInferenceSteps' | 'cache'>,
): CachePlan {
  checkSteps(numInferenceSteps, noiseSchedule(scheduler).numTrainTimesteps);
  const setting = { numInferenceSteps, depth: config.depth };
  return cache ? checkPlan(cache.plan(setting), setting) : uncachedPlan(setting);
}

function classesOf({ config, labels }: DiTSetting, options: DiTGenerateOptions): number[] {
  const wanted = [options.classLabels ?? []].flat();
  if (wanted.length === 0) throw new OptionError('classLabels: expected at least one class, got none');
  return wanted.map((label) => classIndex(label, labels, config.numClasses));
}

/** The seeds of n pictures, and what they draw: the initial latents and the noise of the steps. */
function noisesOf(
  { config: { inputSize, inChannels } }: DiTSetting,
  { latents, seed = randomSeed() }: DiTGenerateOptions,
  n: number,
  halves: 1 | 2,
): Pick<CheckedRun, 'noise' | 'stepNoise' | 'seeds'> {
  const shape = [n, inputSize, inputSize, inChannels] as const;
  if (latents) assertShape('latents', latents.shape, [...shape]);
  const draw = torchNoise(seed, n);
  return {
    noise: () => (latents ? latents.clone() : draw(shape)),
    stepNoise: (wanted) => draw(wanted, halves),
    seeds: [seed].flat(),
  };
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
