import * as tf from '@tensorflow/tfjs-core';
import type { CachePlan, PlanSetting } from '../cache/plan.ts';
import type { CacheCounts } from '../cache/run-cache.ts';
import { withWeights } from '../checkpoint/archive.ts';
import { toFloat32 } from '../checkpoint/dtypes.ts';
import { type WeightDtype, weightHolding } from '../checkpoint/hold.ts';
import type { StoredTensor } from '../checkpoint/stored-tensor.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import type { SamplingDefaults } from '../models/dit-checkpoint.ts';
import type { Numerics } from '../models/dit-config.ts';
import { PixArt } from '../models/pixart.ts';
import type { PixArtCaption } from '../models/pixart-block.ts';
import type { PixArtCheckpoint } from '../models/pixart-checkpoint.ts';
import { PIXART_BRANCHES, pixArtCost, withPixArtNumerics } from '../models/pixart-config.ts';
import {
  type Captions,
  type CaptionTexts,
  captionsOf,
  describeCaptions,
  disposeCaptions,
  textsToEncode,
} from './captions.ts';
import { captionDenoiser, type Denoiser } from './guidance.ts';
import { allToPixels, type PixelImage } from './image.ts';
import type { LoadOptions } from './load-options.ts';
import { type PaintedSize, type PixArtGenerateOptions, promptsOf, sizeOf } from './pixart-options.ts';
import { fitLatentColours, type LatentColours, latentPictures } from './preview.ts';
import type { PromptEmbeds } from './prompt-embeds.ts';
import { type EncodedPrompts, type EncodeOptions, PromptEncoder } from './prompt-encoder.ts';
import { PromptSource } from './prompt-source.ts';
import type { PixArtReport, PixArtRunDescription } from './report.ts';
import { resizeAndCrop } from './resize-crop.ts';
import { checkAutoencoder, describeRun, paint } from './run.ts';
import { type CheckedRun, checkedRun, type RunSetting } from './run-options.ts';
import { type PlanOptions, planOf, planSettingOf } from './run-plan.ts';

export type { PixArtGenerateOptions } from './pixart-options.ts';

/** Where neither the caller nor the checkpoint says: diffusers PixArtAlphaPipeline.__call__. */
export const PIXART_DEFAULTS: SamplingDefaults = { numInferenceSteps: 20, guidanceScale: 4.5 };

export interface PixArtResult {
  readonly images: readonly PixelImage[];
  readonly report: PixArtReport;
}

/** Prompts to pictures: T5, guided PixArt-α under a sampler and a cache, autoencoder. */
export class PixArtPipeline {
  /** The checkpoint, as shown in errors and reports. */
  readonly name: string;
  /** sha256 of the weights' files, where the checkpoint states them. */
  readonly sha256: readonly string[];
  private readonly setting: RunSetting;
  private colours: Promise<LatentColours> | undefined;
  private readonly prompts: PromptSource;

  private constructor(
    { name, sha256, scheduler, cachePlan }: PixArtCheckpoint,
    readonly numerics: Numerics,
    /** Of the weights in memory. */
    readonly dtype: WeightDtype,
    readonly defaults: SamplingDefaults,
    readonly transformer: PixArt,
    readonly vae: AutoencoderKL,
    /** Undefined where the checkpoint has no text encoder or no tokenizer: then prompts come encoded. */
    promptEncoder: PromptEncoder | undefined,
    private readonly nullCaption: tf.Tensor2D | undefined,
  ) {
    this.name = name;
    this.sha256 = sha256;
    this.prompts = new PromptSource(name, promptEncoder);
    this.setting = {
      depth: transformer.config.depth,
      branches: PIXART_BRANCHES,
      scheduler,
      defaults,
      sha256,
      cachePlan,
    };
  }

  /**
   * Reads a checkpoint into the current backend; closing it stays with the caller. A text encoder of more than 1 GiB in
   * memory stays on disk.
   * @throws BackendError when the backend cannot hold weights of the type, or there is no memory for them; CheckpointError
   * when the tensors are not those of the configuration. Nothing is left in memory then.
   */
  static async fromCheckpoint(checkpoint: PixArtCheckpoint, options: LoadOptions = {}): Promise<PixArtPipeline> {
    const { numerics = checkpoint.numerics, dtype = weightHolding().preferred } = options;
    checkAutoencoder(checkpoint.name, checkpoint.transformer.config.inChannels, checkpoint.vae.config);
    const config = withPixArtNumerics(checkpoint.transformer.config, numerics);
    const made: { dispose(): void }[] = [];
    const kept = <T extends { dispose(): void }>(part: T): T => {
      made.push(part);
      return part;
    };
    try {
      const { archive } = checkpoint.transformer;
      const transformer = kept(await withWeights(archive, (weights) => PixArt.fromWeights(config, weights), dtype));
      const vae = kept(await AutoencoderKL.fromCheckpoint(checkpoint.vae, { dtype })); // without the encoder
      const { openTextEncoder, tokenizer, nullCaption } = checkpoint;
      const encoder =
        openTextEncoder && tokenizer && kept(await PromptEncoder.create(openTextEncoder, tokenizer, dtype));
      const none = nullCaption && numerics === 'original' ? kept(await readCaption(nullCaption)) : undefined;
      const defaults = { ...PIXART_DEFAULTS, ...checkpoint.defaults };
      return new PixArtPipeline(checkpoint, numerics, dtype, defaults, transformer, vae, encoder, none);
    } catch (error) {
      for (const part of made) part.dispose();
      throw error;
    }
  }

  /** The plan a run would follow. @throws OptionError as `generate` does. */
  plan(options: PlanOptions): CachePlan | null {
    return planOf(this.setting, options);
  }

  /** What a plan is made for. @throws OptionError for an unknown sampler, or steps out of range */
  planSetting(options: PlanOptions = {}): PlanSetting {
    return planSettingOf(this.setting, options);
  }

  /**
   * Prompts as `promptEmbeds` takes them; the caller disposes `embeds` and `mask`. All that are not kept go through the
   * text encoder in one pass.
   * @throws CheckpointError when the checkpoint has no text encoder, OptionError for a prompt that is too long.
   */
  encodePrompts(prompts: readonly string[], options: EncodeOptions = {}): Promise<EncodedPrompts> {
    return this.prompts.encode(prompts, options);
  }

  /**
   * Keeps prompts that were encoded ahead, so that runs find them by their text; those of an earlier call are let go.
   * @param encoded borrowed: with the negative prompt's, or those of "" under guidance, runs need no text encoder
   */
  keepPrompts(...encoded: readonly PromptEmbeds[]): Promise<void> {
    return this.prompts.keep(encoded);
  }

  /**
   * Encodes what runs with these options would, in one pass of the text encoder, and keeps it as `keepPrompts` does: so
   * that encoding enters no timing, and is not done again for each run.
   * @throws as `generate`
   */
  async encodeAhead(options: PixArtGenerateOptions): Promise<void> {
    const { guidanceScale = this.defaults.guidanceScale } = options;
    const request = { ...options, ...promptsOf(options) };
    const texts = textsToEncode(request, guidanceScale > 1, this.nullCaption !== undefined);
    const encoded = await this.encodePrompts(texts, options);
    await this.keepPrompts(encoded).finally(() => tf.dispose([encoded.embeds, encoded.mask]));
  }

  /**
   * What a run with these options would do: defaults filled in, its plan and cost, and warnings; nothing is encoded.
   * Without a seed the one that it reports is drawn for this call alone.
   * @throws as `generate`
   */
  async describe(options: PixArtGenerateOptions): Promise<PixArtRunDescription> {
    const { wanted, size, run } = this.checked(options);
    run.sampler.dispose();
    const request = { ...options, ...wanted };
    const texts = await describeCaptions(request, run.guidanceScale > 1, this.nullCaption !== undefined, (prompts) =>
      prompts.map((prompt) => this.prompts.measure(prompt, options)),
    );
    return this.description(run, texts, size);
  }

  /**
   * @throws OptionError for a prompt, size, sampler, steps, eta, seed or cache option that will not do; CheckpointError
   * when prompts must be encoded and there is no text encoder; AbortError when stopped; NumericsError when latents stop
   * being finite.
   */
  async generate(options: PixArtGenerateOptions): Promise<PixArtResult> {
    const { images, report } = await this.generateFloats(options);
    return { images: await allToPixels(images, this.numerics), report };
  }

  /** As `generate`, but pictures are decoded floats [H,W,3], nominally in [−1,1]; the caller disposes them. */
  async generateFloats(
    options: PixArtGenerateOptions,
  ): Promise<{ images: readonly tf.Tensor3D[]; report: PixArtReport }> {
    const { wanted, size, run } = this.checked(options);
    let captions: Captions | undefined;
    let caption: PixArtCaption | undefined;
    try {
      const start = performance.now();
      captions = await captionsOf({ ...options, ...wanted }, run.guidanceScale > 1, {
        encode: (prompts) => this.encodePrompts(prompts, options),
        nullCaption: this.nullCaption,
      });
      const encodeSeconds = wanted.prompts ? (performance.now() - start) / 1000 : 0;
      caption = this.transformer.projectCaption(captions.embeds, captions.mask);
      const denoise = this.denoiser(run, caption, size);
      const { scheduler } = this.setting;
      const { images, counts, times } = await paint(run, options, { scheduler, denoise, vae: this.vae });
      const report = { ...this.description(run, captions, size, counts), ...counts, ...times, encodeSeconds };
      return { images: images.map((image) => cropped(image, size)), report };
    } finally {
      run.sampler.dispose();
      if (captions) disposeCaptions(captions);
      tf.dispose({ ...caption });
    }
  }

  /** Small pictures of latents [N,h,w,C], borrowed: see `DiTPipeline.preview`. */
  async preview(latents: tf.Tensor4D): Promise<readonly PixelImage[]> {
    this.colours ??= fitLatentColours(this.vae);
    return latentPictures(latents, await this.colours);
  }

  dispose(): void {
    this.transformer.dispose();
    this.vae.dispose();
    this.prompts.dispose();
    this.nullCaption?.dispose();
  }

  private checked(options: PixArtGenerateOptions) {
    const { config } = this.transformer;
    const { scale } = this.vae;
    const wanted = promptsOf(options);
    const size = sizeOf(config, scale, this.numerics === 'original', options);
    const painted = { width: size.paintedWidth, height: size.paintedHeight };
    const shape = [wanted.n, size.paintedHeight / scale, size.paintedWidth / scale, config.inChannels] as const;
    return { wanted, size, run: checkedRun(this.setting, options, { shape, bothHalves: false, painted }) };
  }

  /** The original's DDPM guides three channels (forward_with_cfg), its DPM-Solver and diffusers all. */
  private denoiser({ guidanceScale, samplerName }: CheckedRun, caption: PixArtCaption, size: PaintedSize): Denoiser {
    const { inChannels } = this.transformer.config;
    const iddpm = samplerName === 'ddpm-original' || samplerName === 'ddim-original';
    return captionDenoiser(this.transformer, caption, {
      guidanceScale,
      guidedChannels: iddpm ? Math.min(3, inChannels) : inChannels,
      size: size.conditions,
    });
  }

  private description(
    run: CheckedRun,
    texts: CaptionTexts,
    size: PaintedSize,
    counts?: CacheCounts,
  ): PixArtRunDescription {
    const { name: model, numerics, dtype } = this;
    const { width, height, paintedWidth, paintedHeight } = size;
    const { prompts, negativePrompts, truncated, length } = texts;
    const cost = pixArtCost(this.transformer.config, {
      height: paintedHeight / this.vae.scale,
      width: paintedWidth / this.vae.scale,
      captionLength: length,
    });
    const described = describeRun(run, { model, numerics, dtype, cost, counts });
    return { ...described, prompts, negativePrompts, truncated, width, height, paintedWidth, paintedHeight };
  }
}

/** @param image consumed */
function cropped(image: tf.Tensor3D, { height, width }: PaintedSize): tf.Tensor3D {
  const picture = resizeAndCrop(image, height, width);
  image.dispose();
  return picture;
}

async function readCaption(stored: StoredTensor): Promise<tf.Tensor2D> {
  const [length = 0, width = 0] = stored.shape;
  return tf.tensor2d(toFloat32(await stored.read(), stored.dtype), [length, width]);
}
