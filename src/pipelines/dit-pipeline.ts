import * as tf from '@tensorflow/tfjs-core';
import { type CacheCounts, CachedBlocks } from '../cache/cached-blocks.ts';
import { planCost } from '../cache/cost.ts';
import { type CachePlan, type CachePolicy, checkPlan, uncachedPlan } from '../cache/plan.ts';
import type { BlockDelta } from '../cache/record-deltas.ts';
import { pickTensors, withWeights } from '../checkpoint/archive.ts';
import { CheckpointError, OptionError } from '../errors.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import type { BlockRunner } from '../models/block.ts';
import { DiT } from '../models/dit.ts';
import type { DiTCheckpoint, SamplingDefaults } from '../models/dit-checkpoint.ts';
import { ditCost, type Numerics, withNumerics } from '../models/dit-config.ts';
import { checkSteps } from '../schedulers/noise-schedule.ts';
import type { NoiseSource, Sampler } from '../schedulers/sampler.ts';
import { addsNoise, createSampler, type SamplerName, samplerOf } from '../schedulers/samplers.ts';
import { noiseSchedule } from '../schedulers/scheduler-config.ts';
import { assertShape } from '../shape.ts';
import { classDenoiser } from './guidance.ts';
import { type PixelImage, toPixels } from './image.ts';
import { classIndex } from './labels.ts';
import { torchNoise } from './noise.ts';
import type { GenerationReport, RunTimes } from './report.ts';
import { checkAborted, type StepEvent, sample } from './sample.ts';
import { settingWarnings } from './warnings.ts';

// diffusers DiTPipeline.__call__
const DIFFUSERS_DEFAULTS: SamplingDefaults = { numInferenceSteps: 50, guidanceScale: 4 };

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

export interface DiTResult {
  readonly images: readonly PixelImage[];
  readonly report: GenerationReport;
}

/** The options of a run, found to be right, defaults filled in. */
interface CheckedRun extends Pick<GenerationReport, 'classLabels' | 'guidanceScale' | 'cache' | 'eta' | 'seeds'> {
  readonly plan: CachePlan;
  /** Whether the caller runs the blocks, so that the plan says nothing. */
  readonly ownRunner: boolean;
  readonly samplerName: SamplerName;
  readonly sampler: Sampler;
  /** The initial latents, fresh. */
  readonly noise: () => tf.Tensor4D;
  readonly stepNoise: NoiseSource;
}

/** Class labels to pictures: noise, guided DiT under a sampler and a cache, autoencoder. */
export class DiTPipeline {
  /** The checkpoint, as shown in errors and reports. */
  readonly name: string;
  /** sha256 of the weights' files, where the checkpoint states them. */
  readonly sha256: readonly string[];
  /** Class names in class order; empty where the checkpoint has none. */
  readonly labels: readonly string[];
  private readonly scheduler: DiTCheckpoint['scheduler'];

  private constructor(
    { name, sha256, labels, scheduler }: DiTCheckpoint,
    readonly numerics: Numerics,
    readonly defaults: SamplingDefaults,
    readonly transformer: DiT,
    readonly vae: AutoencoderKL,
  ) {
    this.name = name;
    this.sha256 = sha256;
    this.labels = labels;
    this.scheduler = scheduler;
  }

  /**
   * Reads a checkpoint into the current backend; closing it stays with the caller.
   * @param numerics overrides the checkpoint's origin
   */
  static async fromCheckpoint(
    checkpoint: DiTCheckpoint,
    numerics: Numerics = checkpoint.numerics,
  ): Promise<DiTPipeline> {
    const { inChannels } = checkpoint.transformer.config;
    const { latentChannels, outChannels } = checkpoint.vae.config;
    if (outChannels !== 3) {
      throw new CheckpointError(
        `${checkpoint.name}: the autoencoder gives ${outChannels} channels; only RGB ones make pictures`,
      );
    }
    if (latentChannels !== inChannels) {
      throw new CheckpointError(
        `${checkpoint.name}: the model works on ${inChannels} latent channels and the autoencoder on ${latentChannels}; give the autoencoder that it was trained with`,
      );
    }
    const config = withNumerics(checkpoint.transformer.config, numerics);
    const transformer = await withWeights(checkpoint.transformer.archive, (weights) =>
      DiT.fromWeights(config, weights),
    );
    try {
      const decoder = pickTensors(checkpoint.vae.archive, (name) => /^(decoder|post_quant_conv)\./.test(name));
      const vae = await withWeights(decoder, (weights) => AutoencoderKL.fromWeights(checkpoint.vae.config, weights));
      const defaults = { ...DIFFUSERS_DEFAULTS, ...checkpoint.defaults };
      return new DiTPipeline(checkpoint, numerics, defaults, transformer, vae);
    } catch (error) {
      transformer.dispose();
      throw error;
    }
  }

  /** The plan a run would follow. @throws OptionError as `generate` does. */
  plan({
    numInferenceSteps = this.defaults.numInferenceSteps,
    cache,
  }: Pick<DiTGenerateOptions, 'numInferenceSteps' | 'cache'>): CachePlan {
    checkSteps(numInferenceSteps, noiseSchedule(this.scheduler).numTrainTimesteps);
    const setting = { numInferenceSteps, depth: this.transformer.config.depth };
    return cache ? checkPlan(cache.plan(setting), setting) : uncachedPlan(setting);
  }

  /**
   * @throws OptionError for an unknown class or sampler, steps, eta, seed or cache option out of range; AbortError when
   * stopped;
   * NumericsError when latents stop being finite.
   */
  async generate(options: DiTGenerateOptions): Promise<DiTResult> {
    const floats = await this.generateFloats(options);
    try {
      const images: PixelImage[] = [];
      for (const image of floats.images) images.push(await toPixels(image, this.numerics));
      return { images, report: floats.report };
    } finally {
      tf.dispose([...floats.images]);
    }
  }

  /** As `generate`, but pictures are decoded floats [H,W,3], nominally in [−1,1]; the caller disposes them. */
  async generateFloats(
    options: DiTGenerateOptions,
  ): Promise<{ images: readonly tf.Tensor3D[]; report: GenerationReport }> {
    const run = this.checked(options);
    const { classLabels, guidanceScale, plan, sampler } = run;
    const { inChannels } = this.transformer.config;
    const guidedChannels = this.numerics === 'original' ? Math.min(3, inChannels) : inChannels;
    const denoise = classDenoiser(this.transformer, classLabels, { guidanceScale, guidedChannels });
    const cache = new CachedBlocks(plan);
    try {
      const { runBlocks, onStep, onBlockDelta, signal } = options;
      const hooks = { runBlocks, onStep, onBlockDelta, signal };
      const loop = { sampler, stepNoise: run.stepNoise, denoise, plan, cache };
      const { latents, stepSeconds } = await sample({ noise: run.noise(), ...loop, ...hooks });
      const start = performance.now();
      const images = await this.decode(latents, signal);
      const decodeSeconds = (performance.now() - start) / 1000;
      return { images, report: { ...this.report(run), ...cache.counts, ...timesOf(stepSeconds), decodeSeconds } };
    } finally {
      cache.dispose();
      sampler.dispose();
    }
  }

  dispose(): void {
    this.transformer.dispose();
    this.vae.dispose();
  }

  /** All of the report that is known before the run. */
  private report(run: CheckedRun): Omit<GenerationReport, keyof CacheCounts | keyof RunTimes> {
    const { samplerName, sampler, eta, guidanceScale, seeds, classLabels, cache, plan, ownRunner } = run;
    return {
      model: this.name,
      backend: tf.getBackend(),
      numerics: this.numerics,
      sampler: samplerName,
      eta,
      timesteps: sampler.timesteps,
      guidanceScale,
      seeds,
      classLabels,
      cache,
      plan: ownRunner ? null : plan,
      macs: ownRunner ? null : planCost(plan, ditCost(this.transformer.config)),
      warnings: settingWarnings(cache, plan, samplerName, eta),
    };
  }

  private checked(options: DiTGenerateOptions): CheckedRun {
    const { inputSize, inChannels, numClasses } = this.transformer.config;
    const {
      numInferenceSteps = this.defaults.numInferenceSteps,
      guidanceScale = this.defaults.guidanceScale,
      sampler: samplerName = samplerOf(this.scheduler),
      eta = 0,
      seed = randomSeed(),
    } = options;
    const wanted = [options.classLabels ?? []].flat();
    const classLabels = wanted.map((label) => classIndex(label, this.labels, numClasses));
    const n = classLabels.length;
    if (n === 0) throw new OptionError('classLabels: expected at least one class, got none');
    if (options.cache && options.runBlocks)
      throw new OptionError('cache and runBlocks: expected one of the two, got both');
    if (!Number.isFinite(guidanceScale))
      throw new OptionError(`guidanceScale: expected a number, got ${guidanceScale}`);
    const { latents } = options;
    if (latents) assertShape('latents', latents.shape, [n, inputSize, inputSize, inChannels]);
    const sampler = createSampler(samplerName, { numInferenceSteps, eta, scheduler: this.scheduler });
    const plan = this.plan({ numInferenceSteps, cache: options.cache });
    const draw = torchNoise(seed, n);
    const noise = () => (latents ? latents.clone() : draw([n, inputSize, inputSize, inChannels]));
    const stepNoise: NoiseSource = (shape) => draw(shape, guidanceScale > 1 ? 2 : 1);
    const seeds = latents && !addsNoise(samplerName, eta) ? [] : [seed].flat();
    const cache = options.cache?.name ?? null;
    const ownRunner = options.runBlocks !== undefined;
    return { classLabels, guidanceScale, cache, plan, ownRunner, sampler, samplerName, eta, noise, stepNoise, seeds };
  }

  /** One picture at a time: a decoder's activations are the largest tensors of a run. @param latents consumed */
  private async decode(latents: tf.Tensor4D, signal: AbortSignal | undefined): Promise<tf.Tensor3D[]> {
    const images: tf.Tensor3D[] = [];
    try {
      for (let i = 0; i < latents.shape[0]; i++) {
        checkAborted(signal, `before decoding picture ${i + 1} of ${latents.shape[0]}`);
        const image = tf.tidy(() =>
          tf.squeeze(this.vae.decode(tf.slice(latents, [i, 0, 0, 0], [1, -1, -1, -1])), [0]),
        ) as tf.Tensor3D;
        images.push(image);
        await image.data(); // so that the time of decoding is counted where it is spent
      }
      return images;
    } catch (error) {
      tf.dispose(images);
      throw error;
    } finally {
      latents.dispose();
    }
  }
}

function timesOf(stepSeconds: readonly number[]): Omit<RunTimes, 'decodeSeconds'> {
  return { stepSeconds, samplingSeconds: stepSeconds.reduce((sum, s) => sum + s, 0) };
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
