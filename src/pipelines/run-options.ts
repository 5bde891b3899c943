import type * as tf from '@tensorflow/tfjs-core';
import { type CachePlan, type CachePolicy, checkPlan, uncachedPlan } from '../cache/plan.ts';
import type { BlockDelta } from '../cache/record-deltas.ts';
import { OptionError } from '../errors.ts';
import type { BlockRunner } from '../models/block.ts';
import type { SamplingDefaults } from '../models/dit-checkpoint.ts';
import { checkSteps } from '../schedulers/noise-schedule.ts';
import type { NoiseSource, Sampler } from '../schedulers/sampler.ts';
import {
  addsNoise,
  createSampler,
  type SamplerName,
  type StepsOption,
  samplerOf,
  stepsOf,
} from '../schedulers/samplers.ts';
import { noiseSchedule } from '../schedulers/scheduler-config.ts';
import { givenTimesteps } from '../schedulers/timesteps.ts';
import { assertShape } from '../shape.ts';
import { torchNoise } from './noise.ts';
import type { RunDescription } from './report.ts';
import type { StepEvent } from './sample.ts';

/** What every pipeline takes besides what it makes pictures of. */
export interface RunOptions {
  /** Default: the checkpoint's, else the one of diffusers' pipeline. */
  readonly numInferenceSteps?: number | undefined;
  /** Instead: the training timesteps of the steps, falling, such as [999, 850, 500]. Not of lcm or the originals. */
  readonly timesteps?: readonly number[] | undefined;
  /** At most 1 means no guidance. Default: the checkpoint's, else the one of diffusers' pipeline. */
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

/** Of a pipeline, what the options of a run are checked against. */
export interface RunSetting {
  /** Blocks of the transformer. */
  readonly depth: number;
  /** diffusers' scheduler_config.json. */
  readonly scheduler: Readonly<Record<string, unknown>>;
  readonly defaults: SamplingDefaults;
}

/** The options of a run, found to be right, defaults filled in. */
export interface CheckedRun extends Pick<RunDescription, 'guidanceScale' | 'cache' | 'eta' | 'seeds'> {
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

/** What a run draws. */
export interface Draw {
  /** Of the latents of all pictures [N,H,W,C]. */
  readonly shape: readonly [number, number, number, number];
  /** Whether the sampler steps both guidance halves, so that each draws noise (see `torchNoise`). */
  readonly bothHalves: boolean;
}

/**
 * @throws OptionError for an unknown sampler, steps, timesteps, eta, seed or cache options out of range; ShapeError for
 * latents.
 */
export function checkedRun(setting: RunSetting, options: RunOptions, drawn: Draw): CheckedRun {
  const { eta = 0, latents, seed = randomSeed() } = options;
  const { guidanceScale = setting.defaults.guidanceScale, sampler: samplerName = samplerOf(setting.scheduler) } =
    options;
  if (options.cache && options.runBlocks)
    throw new OptionError('cache and runBlocks: expected one of the two, got both');
  if (!Number.isFinite(guidanceScale)) throw new OptionError(`guidanceScale: expected a number, got ${guidanceScale}`);
  const sampler = createSampler(samplerName, { ...withDefault(setting, options), eta, scheduler: setting.scheduler });
  const plan = planOf(setting, { numInferenceSteps: sampler.timesteps.length, cache: options.cache });
  if (latents) assertShape('latents', latents.shape, [...drawn.shape]);
  const draw = torchNoise(seed, drawn.shape[0]);
  return {
    guidanceScale,
    cache: options.cache?.name ?? null,
    plan,
    ownRunner: options.runBlocks !== undefined,
    sampler,
    samplerName,
    eta,
    noise: () => (latents ? latents.clone() : draw(drawn.shape)),
    stepNoise: (wanted) => draw(wanted, drawn.bothHalves && guidanceScale > 1 ? 2 : 1),
    seeds: latents && !addsNoise(samplerName, eta) ? [] : [seed].flat(),
  };
}

/** What a plan depends on. */
export type PlanOptions = Pick<RunOptions, 'numInferenceSteps' | 'timesteps' | 'cache'>;

/** @throws OptionError for steps or timesteps out of range, or cache options that do not fit. */
export function planOf(setting: RunSetting, { cache, ...given }: PlanOptions): CachePlan {
  const { numTrainTimesteps } = noiseSchedule(setting.scheduler);
  const steps = stepsOf(withDefault(setting, given));
  if (typeof steps === 'number') checkSteps(steps, numTrainTimesteps);
  const numInferenceSteps = typeof steps === 'number' ? steps : givenTimesteps(steps, numTrainTimesteps).length;
  const run = { numInferenceSteps, depth: setting.depth };
  return cache ? checkPlan(cache.plan(run), run) : uncachedPlan(run);
}

function withDefault({ defaults }: RunSetting, { numInferenceSteps, timesteps }: StepsOption): StepsOption {
  if (numInferenceSteps !== undefined || timesteps !== undefined) return { numInferenceSteps, timesteps };
  return { numInferenceSteps: defaults.numInferenceSteps };
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
