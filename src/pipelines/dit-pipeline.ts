import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../cache/cached-blocks.ts';
import { planCost } from '../cache/cost.ts';
import { type CachePlan, type CachePolicy, uncachedPlan } from '../cache/plan.ts';
import type { BlockDelta } from '../cache/record-deltas.ts';
import { pickTensors, withWeights } from '../checkpoint/archive.ts';
import { CheckpointError, OptionError } from '../errors.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import type { BlockRunner } from '../models/block.ts';
import { DiT } from '../models/dit.ts';
import type { DiTCheckpoint, SamplingDefaults } from '../models/dit-checkpoint.ts';
import { ditCost, type Numerics, withNumerics } from '../models/dit-config.ts';
import { DDIMSampler } from '../schedulers/ddim.ts';
import { checkSteps } from '../schedulers/noise-schedule.ts';
import { ddimConfig } from '../schedulers/scheduler-config.ts';
import { assertShape } from '../shape.ts';
import { classDenoiser } from './guidance.ts';
import { type PixelImage, toPixels } from './image.ts';
import { classIndex } from './labels.ts';
import { initialNoise } from './noise.ts';
import type { GenerationReport } from './report.ts';
import { checkAborted, type StepEvent, sample } from './sample.ts';

// diffusers DiTPipeline.__call__
const DIFFUSERS_DEFAULTS: SamplingDefaults = { numInferenceSteps: 50, guidanceScale: 4 };

export interface DiTGenerateOptions {
  /** One picture each: class numbers, or names where the checkpoint has them. One may stand without a list. */
  readonly classLabels: number | string | readonly (number | string)[];
  /** Default: the checkpoint's, else 50. */
  readonly numInferenceSteps?: number | undefined;
  /** At most 1 means no guidance. Default: the checkpoint's, else 4. */
  readonly guidanceScale?: number | undefined;
  /** One for all pictures (one torch generator draws them in order), or one each. Default: random, see the report. */
  readonly seed?: number | readonly number[] | undefined;
  /** Initial noise [N,H,W,C] instead of a seed; borrowed. */
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
    checkSteps(numInferenceSteps, ddimConfig(this.scheduler).numTrainTimesteps);
    const setting = { numInferenceSteps, depth: this.transformer.config.depth };
    return cache ? cache.plan(setting) : uncachedPlan(setting);
  }

  /**
   * @throws OptionError for an unknown class, steps, seed or cache option out of range; AbortError when stopped;
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
    const { classLabels, numInferenceSteps, guidanceScale, plan, seeds } = run;
    const sampler = new DDIMSampler(numInferenceSteps, ddimConfig(this.scheduler));
    const guidedChannels =
      this.numerics === 'original'
        ? Math.min(3, this.transformer.config.inChannels)
        : this.transformer.config.inChannels;
    const denoise = classDenoiser(this.transformer, classLabels, { guidanceScale, guidedChannels });
    const cache = new CachedBlocks(plan);
    try {
      const { runBlocks, onStep, onBlockDelta, signal } = options;
      const noise = run.noise();
      const { latents, stepSeconds } = await sample({
        noise,
        sampler,
        denoise,
        plan,
        cache,
        runBlocks,
        onStep,
        onBlockDelta,
        signal,
      });
      const start = performance.now();
      const images = await this.decode(latents, signal);
      const decodeSeconds = (performance.now() - start) / 1000;
      const report: GenerationReport = {
        ...cache.counts,
        model: this.name,
        backend: tf.getBackend(),
        numerics: this.numerics,
        sampler: 'ddim',
        timesteps: sampler.timesteps,
        guidanceScale,
        seeds,
        classLabels,
        cache: options.cache?.name ?? null,
        plan: runBlocks ? null : plan,
        macs: runBlocks ? null : planCost(plan, ditCost(this.transformer.config)),
        stepSeconds,
        samplingSeconds: stepSeconds.reduce((sum, s) => sum + s, 0),
        decodeSeconds,
      };
      return { images, report };
    } finally {
      cache.dispose();
      sampler.dispose();
    }
  }

  dispose(): void {
    this.transformer.dispose();
    this.vae.dispose();
  }

  private checked(options: DiTGenerateOptions) {
    const { inputSize, inChannels, numClasses } = this.transformer.config;
    const {
      numInferenceSteps = this.defaults.numInferenceSteps,
      guidanceScale = this.defaults.guidanceScale,
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
    const sampler = new DDIMSampler(numInferenceSteps, ddimConfig(this.scheduler)); // checks the steps before anything runs
    sampler.dispose();
    const plan = this.plan({ numInferenceSteps, cache: options.cache });
    const noise = () => (latents ? latents.clone() : initialNoise(seed, n, inputSize, inputSize, inChannels));
    const seeds = latents ? [] : typeof seed === 'number' ? [seed] : [...seed];
    return { classLabels, numInferenceSteps, guidanceScale, plan, noise, seeds };
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

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
