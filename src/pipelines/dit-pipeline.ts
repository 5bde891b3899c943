import type * as tf from '@tensorflow/tfjs-core';
import type { CachePlan, PlanSetting } from '../cache/plan.ts';
import type { CacheCounts } from '../cache/run-cache.ts';
import { withWeights } from '../checkpoint/archive.ts';
import { type WeightDtype, weightHolding } from '../checkpoint/hold.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import { DiT } from '../models/dit.ts';
import type { DiTCheckpoint, SamplingDefaults } from '../models/dit-checkpoint.ts';
import { DIT_BRANCHES, ditCost, type Numerics, withNumerics } from '../models/dit-config.ts';
import { type CheckedDiTRun, checkedDiTRun, type DiTGenerateOptions, type DiTSetting } from './dit-options.ts';
import { classDenoiser, type Denoiser } from './guidance.ts';
import { allToPixels, type PixelImage } from './image.ts';
import type { LoadOptions } from './load-options.ts';
import { fitLatentColours, type LatentColours, latentPictures } from './preview.ts';
import type { DiTRunDescription, GenerationReport } from './report.ts';
import { checkAutoencoder, describeRun, paint } from './run.ts';
import { type PlanOptions, planOf, planSettingOf } from './run-plan.ts';

export type { DiTGenerateOptions } from './dit-options.ts';

/** Where neither the caller nor the checkpoint says: diffusers DiTPipeline.__call__. */
export const DIT_DEFAULTS: SamplingDefaults = { numInferenceSteps: 50, guidanceScale: 4 };

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
    { name, sha256, labels, scheduler, cachePlan }: DiTCheckpoint,
    readonly numerics: Numerics,
    /** Of the weights in memory. */
    readonly dtype: WeightDtype,
    readonly defaults: SamplingDefaults,
    readonly transformer: DiT,
    readonly vae: AutoencoderKL,
  ) {
    this.name = name;
    this.sha256 = sha256;
    this.labels = labels;
    const { config } = transformer;
    this.setting = {
      config,
      depth: config.depth,
      branches: DIT_BRANCHES,
      labels,
      scheduler,
      defaults,
      sha256,
      cachePlan,
    };
  }

  /**
   * Reads a checkpoint into the current backend; closing it stays with the caller.
   * @throws BackendError when the backend cannot hold weights of the type, or there is no memory for them; CheckpointError
   * when the tensors are not those of the configuration. Nothing is left in memory then.
   */
  static async fromCheckpoint(checkpoint: DiTCheckpoint, options: LoadOptions = {}): Promise<DiTPipeline> {
    const { numerics = checkpoint.numerics, dtype = weightHolding().preferred } = options;
    checkAutoencoder(checkpoint.name, checkpoint.transformer.config.inChannels, checkpoint.vae.config);
    const config = withNumerics(checkpoint.transformer.config, numerics);
    const { archive } = checkpoint.transformer;
    const transformer = await withWeights(archive, (weights) => DiT.fromWeights(config, weights), dtype);
    try {
      const vae = await AutoencoderKL.fromCheckpoint(checkpoint.vae, { dtype }); // without the encoder
      const defaults = { ...DIT_DEFAULTS, ...checkpoint.defaults };
      return new DiTPipeline(checkpoint, numerics, dtype, defaults, transformer, vae);
    } catch (error) {
      transformer.dispose();
      throw error;
    }
  }

  /** The plan a run would follow; null where its method decides as it runs. @throws OptionError as `generate` does. */
  plan(options: PlanOptions): CachePlan | null {
    return planOf(this.setting, options);
  }

  /** What a plan is made for. @throws OptionError for an unknown sampler, or steps out of range */
  planSetting(options: PlanOptions = {}): PlanSetting {
    return planSettingOf(this.setting, options);
  }

  /**
   * What a run with these options would do: defaults filled in, its plan and cost, and warnings. Makes nothing. Without
   * a seed the one that it reports is drawn for this call alone.
   * @throws as `generate`
   */
  describe(options: DiTGenerateOptions): DiTRunDescription {
    const run = checkedDiTRun(this.setting, options);
    run.sampler.dispose();
    return this.description(run);
  }

  /**
   * @throws OptionError for an unknown class or sampler, steps, eta, seed or cache option out of range; AbortError when
   * stopped;
   * NumericsError when latents stop being finite.
   */
  async generate(options: DiTGenerateOptions): Promise<DiTResult> {
    const { images, report } = await this.generateFloats(options);
    return { images: await allToPixels(images, this.numerics), report };
  }

  /** As `generate`, but pictures are decoded floats [H,W,3], nominally in [−1,1]; the caller disposes them. */
  async generateFloats(
    options: DiTGenerateOptions,
  ): Promise<{ images: readonly tf.Tensor3D[]; report: GenerationReport }> {
    const run = checkedDiTRun(this.setting, options);
    const { images, counts, times } = await paint(run, options, {
      scheduler: this.setting.scheduler,
      denoise: this.denoiser(run),
      vae: this.vae,
    });
    return { images, report: { ...this.description(run, counts), ...counts, ...times } };
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

  private denoiser({ classLabels, guidanceScale }: CheckedDiTRun): Denoiser {
    const { inChannels } = this.transformer.config;
    const guidedChannels = this.numerics === 'original' ? Math.min(3, inChannels) : inChannels;
    return classDenoiser(this.transformer, classLabels, { guidanceScale, guidedChannels });
  }

  private description(run: CheckedDiTRun, counts?: CacheCounts): DiTRunDescription {
    const { name: model, numerics, dtype } = this;
    return {
      ...describeRun(run, { model, numerics, dtype, cost: ditCost(this.transformer.config), counts }),
      classLabels: run.classLabels,
    };
  }
}
