/**
 * AutoencoderKL (Rombach et al., arXiv 2112.10752), after diffusers' AutoencoderKL, channels last: pictures to latents
 * and back. Letters: N samples, h×w latent, H×W picture, C channels.
 */
import * as tf from '@tensorflow/tfjs-core';
import { pickTensors, withWeights } from '../checkpoint/archive.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { WeightScope, Weights } from '../checkpoint/weights.ts';
import { CheckpointError, OptionError, ShapeError } from '../errors.ts';
import { Conv2d } from '../layers/conv2d.ts';
import { assertShape, type Shape } from '../shape.ts';
import {
  AUTOENCODER_ENCODER,
  type AutoencoderKLCheckpoint,
  type AutoencoderKLConfig,
  autoencoderScale,
} from './autoencoder-config.ts';
import { Decoder } from './autoencoder-decoder.ts';
import { Encoder } from './autoencoder-encoder.ts';
import { buildParts, disposeParts, type ModelPart, parameterShapesOf, weightBytesOf } from './build.ts';
import { RowTiling } from './row-bands.ts';

export interface AutoencoderKLOptions {
  /** Whether to hold the encoder too, which generation does not need. Default: false. */
  readonly encoder?: boolean | undefined;
  /** How kernels are held; bfloat16 and float16 take half of the memory. Default: float32. */
  readonly dtype?: WeightDtype | undefined;
}

/** What the tensors of one band may take while a layer works on it, in bytes. */
export const DECODE_TILE_BUDGET = 256 * 2 ** 20;

export interface TiledDecodeOptions {
  /** Bytes for the band in work. Default: `DECODE_TILE_BUDGET`; a single row is computed whatever it takes. */
  readonly tileBudgetBytes?: number | undefined;
  /** Called after each band, when timers and signals have been served; what it throws ends the decode. */
  readonly betweenBands?: (() => void) | undefined;
}

/**
 * A normal distribution of every latent, in the autoencoder's own units (diffusers' `encode(x).latent_dist`): mean and
 * logarithm of the variance, each [N,h,w,latentChannels].
 */
export interface LatentMoments {
  readonly mean: tf.Tensor4D;
  readonly logvar: tf.Tensor4D;
}

// diffusers' DiagonalGaussianDistribution
const MIN_LOGVAR = -30;
const MAX_LOGVAR = 20;

export class AutoencoderKL {
  private readonly encoder: { readonly stages: Encoder; readonly quantConv: Conv2d } | undefined;
  private readonly postQuantConv: Conv2d;
  private readonly decoder: Decoder;

  private constructor(
    readonly config: AutoencoderKLConfig,
    { encoder = false }: AutoencoderKLOptions,
    stored?: WeightScope,
  ) {
    const pointwise = (name: string, channels: number) =>
      new Conv2d({ inChannels: channels, outChannels: channels, kernelSize: 1 }, stored?.at(name));
    const { latentChannels } = config;
    this.postQuantConv = pointwise('post_quant_conv', latentChannels);
    this.decoder = new Decoder(config, stored?.at('decoder'));
    if (encoder) {
      const quantConv = pointwise('quant_conv', 2 * latentChannels);
      this.encoder = { stages: new Encoder(config, stored?.at('encoder')), quantConv };
    }
  }

  /**
   * Reads an opened checkpoint into the current backend; closing it stays with the caller.
   * @throws CheckpointError when its tensors are not those of its config, or the encoder is asked for and not there.
   */
  static async fromCheckpoint(
    { config, archive }: AutoencoderKLCheckpoint,
    options: AutoencoderKLOptions = {},
  ): Promise<AutoencoderKL> {
    const isEncoder = (name: string) => AUTOENCODER_ENCODER.test(name);
    if (options.encoder && ![...archive.tensors.keys()].some(isEncoder)) {
      throw new CheckpointError(
        `${archive.name}: holds the decoder of an AutoencoderKL and no encoder, so it cannot encode pictures; ` +
          'give --vae with a whole autoencoder, or convert the checkpoint again with one',
      );
    }
    const needed = options.encoder ? archive : pickTensors(archive, (name) => !isEncoder(name));
    return withWeights(needed, (weights) => AutoencoderKL.fromWeights(config, weights, options), options.dtype);
  }

  /** @throws CheckpointError when the tensors are not those of `config`. */
  static async fromWeights(
    config: AutoencoderKLConfig,
    weights: Weights,
    options: AutoencoderKLOptions = {},
  ): Promise<AutoencoderKL> {
    const vae = new AutoencoderKL(config, options, weights.scope());
    weights.expect(parameterShapesOf(vae.parts()));
    await buildParts(vae.parts(), weights);
    return vae;
  }

  /** Parameter name → shape of the decoder and its 1×1 convolution; then, where asked for, of the encoder and its own. */
  static parameterShapes(config: AutoencoderKLConfig, options: AutoencoderKLOptions = {}): ReadonlyMap<string, Shape> {
    return parameterShapesOf(new AutoencoderKL(config, options).parts());
  }

  /** Of what the options ask for, in memory. */
  static weightBytes(config: AutoencoderKLConfig, options: AutoencoderKLOptions = {}): number {
    return weightBytesOf(new AutoencoderKL(config, options).parts(), options.dtype);
  }

  /** Pixels per latent position, on each side. */
  get scale(): number {
    return autoencoderScale(this.config);
  }

  /**
   * Pictures to the model's latents, which `decode` takes: (mean + noise·σ)·scalingFactor.
   * @param image [N,H,W,outChannels] in [−1,1]. Where H or W is no multiple of `scale`, what is left over at the bottom
   * or on the right gets no latent of its own; diffusers' pipelines resize such pictures first.
   * @param noise standard normal [N,h,w,latentChannels] to draw from the distribution; without it, its mean
   * @returns [N,h,w,latentChannels]: h = ⌊H/scale⌋, w = ⌊W/scale⌋
   * @throws OptionError when the encoder was not loaded; ShapeError for other shapes, or H or W below `scale`.
   */
  encode(image: tf.Tensor4D, noise?: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.latents(this.moments(image), noise));
  }

  /**
   * Pictures to the distribution of their latents, in the autoencoder's own units; the caller disposes both tensors.
   * @param image as of `encode` @throws as `encode`
   */
  moments(image: tf.Tensor4D): LatentMoments {
    const { encoder, scale } = this;
    if (!encoder)
      throw new OptionError(
        'AutoencoderKL: was loaded without its encoder, so it cannot encode; load it with encoder: true',
      );
    const [, height, width] = image.shape;
    assertShape('AutoencoderKL image', image.shape, [null, null, null, this.config.outChannels]);
    if (height < scale || width < scale)
      throw new ShapeError(`AutoencoderKL image: expected at least ${scale}×${scale} pixels, got ${width}×${height}`);
    return tf.tidy(() => {
      const both = encoder.quantConv.call(encoder.stages.call(image)); // [N,h,w,2·latentChannels]
      const [mean, logvar] = tf.split(both, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
      return { mean, logvar: tf.clipByValue(logvar, MIN_LOGVAR, MAX_LOGVAR) as tf.Tensor4D };
    });
  }

  /** The model's latents of a distribution that `moments` gave, borrowed. @param noise as of `encode` */
  latents({ mean, logvar }: LatentMoments, noise?: tf.Tensor4D): tf.Tensor4D {
    if (noise) assertShape('AutoencoderKL noise', noise.shape, mean.shape);
    return tf.tidy(() => {
      const drawn = noise ? tf.add(mean, tf.mul(tf.exp(tf.mul(logvar, 0.5)), noise)) : mean; // [N,h,w,latentChannels]
      return tf.mul(drawn, this.config.scalingFactor) as tf.Tensor4D;
    });
  }

  /**
   * @param z the model's latents [N,h,w,latentChannels]; divided by `scalingFactor` here
   * @returns [N,H,W,outChannels], nominally in [−1,1]
   */
  decode(z: tf.Tensor4D): tf.Tensor4D {
    assertShape('AutoencoderKL latents', z.shape, [null, null, null, this.config.latentChannels]);
    return tf.tidy(() => this.decoder.call(this.postQuantConv.call(tf.div(z, this.config.scalingFactor))));
  }

  /**
   * `decode` in bands of rows, with the same result up to rounding: GroupNorm's statistics and the attention are those of
   * the whole picture, and at the borders of bands convolutions see their neighbours' rows.
   *
   * Activations are held whole between two layers, and only the band in work takes more, so that the peak is that of
   * twice a resnet's output, or of its input where that is larger, plus about the budget: for Stable Diffusion at 1024 px
   * 1 GiB ([1024,1024,256] or twice [1024,1024,128]) + 256 MiB, where `decode` holds 4 GiB. The attention of the middle
   * block is computed at the latents' size, in tiles of its own (see `attention`).
   * @param z as of `decode`
   * @throws OptionError unless the budget is above 0; what `betweenBands` throws
   */
  async decodeTiled(
    z: tf.Tensor4D,
    { tileBudgetBytes = DECODE_TILE_BUDGET, betweenBands }: TiledDecodeOptions = {},
  ): Promise<tf.Tensor4D> {
    assertShape('AutoencoderKL latents', z.shape, [null, null, null, this.config.latentChannels]);
    const tiling = new RowTiling(tileBudgetBytes, betweenBands);
    const start = tf.tidy(() => this.postQuantConv.call(tf.div(z, this.config.scalingFactor)));
    try {
      return await this.decoder.callInBands(start, tiling);
    } finally {
      tiling.dispose();
      start.dispose();
    }
  }

  dispose(): void {
    disposeParts(this.parts());
  }

  /** The encoder's last, as converted checkpoints have them. */
  private parts(): readonly ModelPart[] {
    const { encoder, postQuantConv, decoder } = this;
    return [
      { path: 'post_quant_conv', layer: postQuantConv },
      { path: 'decoder', layer: decoder },
      ...(encoder
        ? [
            { path: 'quant_conv', layer: encoder.quantConv },
            { path: 'encoder', layer: encoder.stages },
          ]
        : []),
    ];
  }
}
