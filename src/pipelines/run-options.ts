import type * as tf from '@tensorflow/tfjs-core';
import type { CachePlan } from '../cache/plan.ts';
import type { CachePolicy } from '../cache/policy.ts';
import type { BlockDelta } from '../cache/record-deltas.ts';
import type { RunCache } from '../cache/run-cache.ts';
import { OptionError } from '../errors.ts';
import type { BlockRunner, BranchName } from '../models/block.ts';
import type { SamplingDefaults } from '../models/dit-checkpoint.ts';
import type { NoiseSource, Sampler } from '../schedulers/sampler.ts';
import { addsNoise, createSampler, type SamplerName } from '../schedulers/samplers.ts';
import { assertShape } from '../shape.ts';
import { torchNoise } from './noise.ts';
import type { RunDescription } from './report.ts';
import { withDefaults } from './run-defaults.ts';
import { methodOfRun } from './run-plan.ts';
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
  /**
   * A cache method, such as `deltaDiT()`; 'auto': the plan that the checkpoint carries, with the sampler, steps and
   * guidance it was made for where they are left open.
   */
  readonly cache?: CachePolicy | 'auto' | undefined;
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
  /** Of each block. */
  readonly branches: readonly BranchName[];
  /** diffusers' scheduler_config.json. */
  readonly scheduler: Readonly<Record<string, unknown>>;
  readonly defaults: SamplingDefaults;
  /** sha256 of the weights' files, where they are known. */
  readonly sha256?: readonly string[] | undefined;
  /** The text of the cache plan that the checkpoint carries. */
  readonly cachePlan?: string | undefined;
}

/** The options of a run, found to be right, defaults filled in. */
export interface CheckedRun extends Pick<RunDescription, 'guidanceScale' | 'cache' | 'eta' | 'seeds'> {
  /** Null where nothing is known before the run: under a dynamic method, or where the caller runs the blocks. */
  readonly plan: CachePlan | null;
  /** Whether the cache method does. */
  readonly decidesAsItRuns: boolean;
  /** Where it does: the steps that it may skip something at. */
  readonly mayReuse: readonly number[] | null;
  /** The state of a run, fresh: the run disposes it. */
  readonly startCache: () => RunCache;
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
  /** Where the model paints more than one size. */
  readonly painted?: PixelSize | undefined;
}

/** In pixels. */
export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/**
 * @throws OptionError for an unknown sampler, steps, timesteps, eta, seed or cache options out of range; ShapeError for
 * latents.
 */
export function checkedRun(setting: RunSetting, options: RunOptions, drawn: Draw): CheckedRun {
  const { eta = 0, latents, seed = randomSeed() } = options;
  if (options.cache && options.runBlocks)
    throw new OptionError('cache and runBlocks: expected one of the two, got both');
  const filled = withDefaults(setting, { ...options, ...drawn });
  const { guidanceScale, sampler: samplerName, cache } = filled;
  if (!Number.isFinite(guidanceScale)) throw new OptionError(`guidanceScale: expected a number, got ${guidanceScale}`);
  const sampler = createSampler(samplerName, { ...filled.steps, eta, scheduler: setting.scheduler });
  const method = methodOfRun(setting, filled, sampler.timesteps);
  if (latents) assertShape('latents', latents.shape, [...drawn.shape]);
  const draw = torchNoise(seed, drawn.shape[0]);
  return {
    guidanceScale,
    cache: cache?.name ?? null,
    plan: options.runBlocks ? null : method.plan,
    decidesAsItRuns: method.plan === null,
    mayReuse: method.mayReuse,
    startCache: method.start,
    sampler,
    samplerName,
    eta,
    noise: () => (latents ? latents.clone() : draw(drawn.shape)),
    stepNoise: (wanted) => draw(wanted, drawn.bothHalves && guidanceScale > 1 ? 2 : 1),
    seeds: latents && !addsNoise(samplerName, eta) ? [] : [seed].flat(),
  };
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
