import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../cache/cached-blocks.ts';
import { planCost } from '../cache/cost.ts';
import type { CachePlan } from '../cache/plan.ts';
import { withWeights } from '../checkpoint/archive.ts';
import { CheckpointError } from '../errors.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import { DiT } from '../models/dit.ts';
import type { DiTCheckpoint, SamplingDefaults } from '../models/dit-checkpoint.ts';
import { ditCost, type Numerics, withNumerics } from '../models/dit-config.ts';
import { decodeEach } from './decode.ts';
import { type CheckedRun, checkedRun, type DiTGenerateOptions, type DiTSetting, planOf } from './dit-options.ts';
import { classDenoiser, type Denoiser } from './guidance.ts';
import { type PixelImage, toPixels } from './image.ts';
import { fitLatentColours, type LatentColours, latentPictures } from './preview.ts';
import type { GenerationReport, RunDescription, RunTimes } from './report.ts';
import { sample } from './sample.ts';
import { settingWarnings } from './warnings.ts';

export type { DiTGenerateOptions } from './dit-options.ts';

// diffusers DiTPipeline.__call__
const DIFFUSERS_DEFAULTS: SamplingDefaults = { numInferenceSteps: 50, guidanceScale: 4 };

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
  private readonly setting: DiTSetting;
  private colours: Promise<LatentColours> | undefined;

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
    this.setting = { config: transformer.config, labels, scheduler, defaults };
  }

  /**
   * Reads a checkpoint into the current backend; closing it stays with the caller.
   * @param numerics overrides the checkpoint's origin
   */
  static async fromCheckpoint(
    checkpoint: DiTCheckpoint,
    numerics: Numerics = checkpoint.numerics,
  ): Promise<DiTPipeline> {
    checkAutoencoder(checkpoint);
    const config = withNumerics(checkpoint.transformer.config, numerics);
    const transformer = await withWeights(checkpoint.transformer.archive, (weights) =>
      DiT.fromWeights(config, weights),
    );
    try {
      const vae = await AutoencoderKL.fromCheckpoint(checkpoint.vae); // without the encoder
      const defaults = { ...DIFFUSERS_DEFAULTS, ...checkpoint.defaults };
      return new DiTPipeline(checkpoint, numerics, defaults, transformer, vae);
    } catch (error) {
      transformer.dispose();
      throw error;
    }
  }

  /** The plan a run would follow. @throws OptionError as `generate` does. */
  plan(options: Pick<DiTGenerateOptions, 'numInferenceSteps' | 'cache'>): CachePlan {
    return planOf(this.setting, options);
  }

  /**
   * What a run with these options would do: defaults filled in, its plan and cost, and warnings. Makes nothing. Without
   * a seed the one that it reports is drawn for this call alone.
   * @throws as `generate`
   */
  describe(options: DiTGenerateOptions): RunDescription {
    const run = checkedRun(this.setting, options);
    run.sampler.dispose();
    return this.description(run);
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
    const run = checkedRun(this.setting, options);
    const { sampler, stepNoise, plan } = run;
    const cache = new CachedBlocks(plan);
    try {
      const { runBlocks, onStep, onBlockDelta, signal } = options;
      const { scheduler } = this.setting;
      const loop = { sampler, scheduler, stepNoise, denoise: this.denoiser(run), plan, cache };
      const hooks = { runBlocks, onStep, onBlockDelta, signal };
      const { latents, stepSeconds } = await sample({ noise: run.noise(), ...loop, ...hooks });
      const { images, decodeSeconds } = await decodeEach(this.vae, latents, signal);
      const times: RunTimes = {
        stepSeconds,
        samplingSeconds: stepSeconds.reduce((sum, s) => sum + s, 0),
        decodeSeconds,
      };
      return { images, report: { ...this.description(run), ...cache.counts, ...times } };
    } finally {
      cache.dispose();
      sampler.dispose();
    }
  }

  /**
   * Small pictures of latents, one pixel a position: a rough view that costs no decoding, such as of a step's
   * `xStart()`. The first call fits the colours, which decodes a few small latents once.
   * @param latents [N,h,w,C], borrowed
   */
  async preview(latents: tf.Tensor4D): Promise<readonly PixelImage[]> {
    this.colours ??= fitLatentColours(this.vae);
    return latentPictures(latents, await this.colours);
  }

  dispose(): void {
    this.transformer.dispose();
    this.vae.dispose();
  }

  private denoiser({ classLabels, guidanceScale }: CheckedRun): Denoiser {
    const { inChannels } = this.transformer.config;
    const guidedChannels = this.numerics === 'original' ? Math.min(3, inChannels) : inChannels;
    return classDenoiser(this.transformer, classLabels, { guidanceScale, guidedChannels });
  }

  private description(run: CheckedRun): RunDescription {
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
}

function checkAutoencoder({ name, transformer, vae }: DiTCheckpoint): void {
  const { inChannels } = transformer.config;
  const { latentChannels, outChannels } = vae.config;
  if (outChannels !== 3) {
    throw new CheckpointError(`${name}: the autoencoder gives ${outChannels} channels; only RGB ones make pictures`);
  }
  if (latentChannels !== inChannels) {
    throw new CheckpointError(
      `${name}: the model works on ${inChannels} latent channels and the autoencoder on ${latentChannels}; give the autoencoder that it was trained with`,
    );
  }
}
