import type * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../cache/cached-blocks.ts';
import { DynamicCache } from '../cache/dynamic-cache.ts';
import { outputForm } from '../cache/output-form.ts';
import { type CachePlan, checkPlan, type PlanSetting, uncachedPlan } from '../cache/plan.ts';
import { type CachePolicy, isStatic } from '../cache/policy.ts';
import type { BlockDelta } from '../cache/record-deltas.ts';
import type { RunCache } from '../cache/run-cache.ts';
import { OptionError } from '../errors.ts';
import type { BlockRunner, BranchName } from '../models/block.ts';
import type { SamplingDefaults } from '../models/dit-checkpoint.ts';
import type { NoiseSource, Sampler } from '../schedulers/sampler.ts';
import { addsNoise, createSampler, readsVariance, type SamplerName, samplerOf } from '../schedulers/samplers.ts';
import type { SchedulerRecord } from '../schedulers/scheduler-config.ts';
import { assertShape } from '../shape.ts';
import { cleanMap } from './clean-latents.ts';
import { torchNoise } from './noise.ts';
import type { RunDescription } from './report.ts';
import type { StepEvent } from './sample.ts';

/** What every pipeline takes besides what it makes pictures of. */
export interface RunOptions {
  /** Default: the checkpoint's, else the one of diffusers' pipeline. */
  readonly numInferenceSteps?: number | undefined;
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
  /** Of each block. */
  readonly branches: readonly BranchName[];
  /** diffusers' scheduler_config.json. */
  readonly scheduler: Readonly<Record<string, unknown>>;
  readonly defaults: SamplingDefaults;
}

/** The options of a run, found to be right, defaults filled in. */
export interface CheckedRun extends Pick<RunDescription, 'guidanceScale' | 'cache' | 'eta' | 'seeds'> {
  /** Null where nothing is known before the run: under a dynamic method, or where the caller runs the blocks. */
  readonly plan: CachePlan | null;
  /** Whether the cache method does. */
  readonly decidesAsItRuns: boolean;
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
}

/** @throws OptionError for an unknown sampler, steps, eta, seed or cache options out of range; ShapeError for latents. */
export function checkedRun(setting: RunSetting, options: RunOptions, drawn: Draw): CheckedRun {
  const { numInferenceSteps = setting.defaults.numInferenceSteps, eta = 0, latents, seed = randomSeed() } = options;
  const { guidanceScale = setting.defaults.guidanceScale, sampler: samplerName = samplerOf(setting.scheduler) } =
    options;
  if (options.cache && options.runBlocks)
    throw new OptionError('cache and runBlocks: expected one of the two, got both');
  if (!Number.isFinite(guidanceScale)) throw new OptionError(`guidanceScale: expected a number, got ${guidanceScale}`);
  const sampler = createSampler(samplerName, { numInferenceSteps, eta, scheduler: setting.scheduler });
  const { timesteps } = sampler;
  const { depth, branches } = setting;
  const planSetting = { numInferenceSteps: timesteps.length, depth, branches, timesteps };
  const method = cacheMethod(planSetting, setting.scheduler, options.cache);
  if (method.predictsModel && readsVariance(samplerName)) throw needsVariance(options.cache, samplerName);
  if (latents) assertShape('latents', latents.shape, [...drawn.shape]);
  const draw = torchNoise(seed, drawn.shape[0]);
  return {
    guidanceScale,
    cache: options.cache?.name ?? null,
    plan: options.runBlocks ? null : method.plan,
    decidesAsItRuns: method.plan === null,
    startCache: method.start,
    sampler,
    samplerName,
    eta,
    noise: () => (latents ? latents.clone() : draw(drawn.shape)),
    stepNoise: (wanted) => draw(wanted, drawn.bothHalves && guidanceScale > 1 ? 2 : 1),
    seeds: latents && !addsNoise(samplerName, eta) ? [] : [seed].flat(),
  };
}

/** A cache method as it is for one run. */
interface CacheMethod {
  readonly plan: CachePlan | null;
  readonly start: () => RunCache;
  /** Whether some steps do not run the model at all. */
  readonly predictsModel: boolean;
}

function cacheMethod(setting: PlanSetting, scheduler: SchedulerRecord, policy: CachePolicy | undefined): CacheMethod {
  const toClean = cleanMap(scheduler);
  const clean = (step: number) => toClean(setting.timesteps[step] ?? 0);
  if (policy && !isStatic(policy)) {
    const { keeps, model } = policy.begin(setting); // its options are checked before anything is computed
    const start = () => new DynamicCache(policy.begin(setting), setting.depth, outputForm(keeps, clean));
    return { plan: null, start, predictsModel: model !== undefined };
  }
  const plan = policy ? checkPlan(policy.plan(setting), setting) : uncachedPlan(setting);
  const predictsModel = plan.steps.some(({ reuse }) => reuse.some(({ kind }) => kind === 'model'));
  return { plan, start: () => new CachedBlocks(plan, outputForm(plan.keeps, clean)), predictsModel };
}

function needsVariance(policy: CachePolicy | undefined, sampler: SamplerName): OptionError {
  return new OptionError(
    `cache ${policy?.name} skips the whole model, and ${sampler} reads the variance that the model learned at each step; use a sampler that reads none, such as ddim or dpm-solver++`,
  );
}

/** Of a run's options, what its plan depends on. */
export type PlanOptions = Pick<RunOptions, 'numInferenceSteps' | 'sampler' | 'cache'>;

/** What a run's plan is made for. @throws OptionError for an unknown sampler, or steps out of range */
export function planSettingOf({ depth, branches, scheduler, defaults }: RunSetting, options: PlanOptions): PlanSetting {
  const { numInferenceSteps = defaults.numInferenceSteps, sampler: name = samplerOf(scheduler) } = options;
  const sampler = createSampler(name, { numInferenceSteps, scheduler });
  const { timesteps } = sampler;
  sampler.dispose();
  return { numInferenceSteps, depth, branches, timesteps };
}

/** The plan of a run; null under a method that decides as it runs. @throws OptionError as `generate` */
export function planOf(setting: RunSetting, options: PlanOptions): CachePlan | null {
  return cacheMethod(planSettingOf(setting, options), setting.scheduler, options.cache).plan;
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
