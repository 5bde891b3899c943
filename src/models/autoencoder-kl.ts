/**
 * The decoder of AutoencoderKL (Rombach et al., arXiv 2112.10752), after diffusers' AutoencoderKL, channels last.
 * Letters: N samples, h×w latent, H×W image, C channels.
 */
import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope, Weights } from '../checkpoint/weights.ts';
import { Composite } from '../layers/composite.ts';
import { Conv2d } from '../layers/conv2d.ts';
import { GroupNorm } from '../layers/group-norm.ts';
import { Linear } from '../layers/linear.ts';
import { single } from '../layers/tensors.ts';
import { attention } from '../ops/attention.ts';
import { assertShape, type Shape } from '../shape.ts';
import { buildParts, disposeParts, type ModelPart, parameterShapesOf } from './build.ts';

/** Of diffusers' config.json, what the decoder needs. */
export interface AutoencoderKLConfig {
  /** Channels per level, from the image inwards. */
  readonly blockOutChannels: readonly number[];
  /** Resnets per encoder level; the decoder has one more. */
  readonly layersPerBlock: number;
  readonly latentChannels: number;
  readonly outChannels: number;
  readonly normNumGroups: number;
  /** The model's latents are this factor times the autoencoder's. */
  readonly scalingFactor: number;
}

/** Names of the encoder's parameters, which a checkpoint may hold beside the decoder's. */
export const AUTOENCODER_ENCODER = /^(encoder|quant_conv)\./;

/** GN → SiLU → conv → GN → SiLU → conv, plus the input (through a 1×1 convolution where the channels change). */
export class ResnetBlock extends Composite {
  static readonly className = 'ResnetBlock2D';
  private readonly norm1: GroupNorm;
  private readonly conv1: Conv2d;
  private readonly norm2: GroupNorm;
  private readonly conv2: Conv2d;
  private readonly convShortcut: Conv2d | undefined;

  constructor(
    private readonly sizes: { readonly inChannels: number; readonly outChannels: number; readonly numGroups: number },
    stored?: WeightScope,
  ) {
    super();
    const { inChannels, outChannels, numGroups } = sizes;
    const norm = (name: string, channels: number) =>
      this.child(name, new GroupNorm({ channels, numGroups, silu: true }, stored?.at(name)));
    const conv = (name: string, from: number, kernelSize: 1 | 3) =>
      this.child(name, new Conv2d({ inChannels: from, outChannels, kernelSize }, stored?.at(name)));
    this.norm1 = norm('norm1', inChannels);
    this.conv1 = conv('conv1', inChannels, 3);
    this.norm2 = norm('norm2', outChannels);
    this.conv2 = conv('conv2', outChannels, 3);
    this.convShortcut = inChannels === outChannels ? undefined : conv('conv_shortcut', inChannels, 1);
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const x = single<tf.Tensor4D>(inputs);
    return tf.tidy(() => {
      let y = this.conv1.call(this.norm1.call(x)); // [N,H,W,C']
      y = this.conv2.call(this.norm2.call(y)); // [N,H,W,C']
      return tf.add(this.convShortcut?.call(x) ?? x, y);
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return [...inputShape.slice(0, -1), this.sizes.outChannels];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(ResnetBlock);

/** Attention over all pixels with one head of all channels, plus the un-normalised input. */
export class SpatialAttention extends Composite {
  static readonly className = 'SpatialAttention';
  private readonly groupNorm: GroupNorm;
  private readonly toQ: Linear;
  private readonly toK: Linear;
  private readonly toV: Linear;
  private readonly toOut: Linear;

  constructor(
    private readonly sizes: { readonly channels: number; readonly numGroups: number },
    stored?: WeightScope,
  ) {
    super();
    const { channels } = sizes;
    const linear = (name: string) =>
      this.child(name, new Linear({ inFeatures: channels, outFeatures: channels }, stored?.at(name)));
    this.groupNorm = this.child('group_norm', new GroupNorm(sizes, stored?.at('group_norm')));
    this.toQ = linear('to_q');
    this.toK = linear('to_k');
    this.toV = linear('to_v');
    this.toOut = linear('to_out.0');
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const x = single<tf.Tensor4D>(inputs);
    const [n, height, width, channels] = x.shape;
    return tf.tidy(() => {
      const tokens = tf.reshape(this.groupNorm.call(x), [n, 1, height * width, channels]) as tf.Tensor4D; // one head
      const y = attention(this.toQ.call(tokens), this.toK.call(tokens), this.toV.call(tokens)); // [N,1,H·W,C]
      return tf.add(tf.reshape(this.toOut.call(y), x.shape), x);
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(SpatialAttention);

/** Latents to images. Named after diffusers' `Decoder`: conv_in, mid_block, up_blocks, conv_norm_out, conv_out. */
export class Decoder extends Composite {
  static readonly className = 'AutoencoderKLDecoder';
  private readonly stages: ((x: tf.Tensor4D) => tf.Tensor4D)[] = [];

  constructor(
    private readonly config: AutoencoderKLConfig,
    stored?: WeightScope,
  ) {
    super();
    const { blockOutChannels, layersPerBlock, latentChannels, outChannels, normNumGroups: numGroups } = config;
    const levels = [...blockOutChannels].reverse(); // from the latent outwards
    const [inner = 0] = levels;
    const outer = levels[levels.length - 1] ?? 0;
    const conv = (name: string, inChannels: number, out: number) =>
      this.stage(name, new Conv2d({ inChannels, outChannels: out, kernelSize: 3 }, stored?.at(name)));
    const resnet = (name: string, inChannels: number, out: number) =>
      this.stage(name, new ResnetBlock({ inChannels, outChannels: out, numGroups }, stored?.at(name)));

    conv('conv_in', latentChannels, inner); // [N,h,w,C]
    resnet('mid_block.resnets.0', inner, inner);
    this.stage(
      'mid_block.attentions.0',
      new SpatialAttention({ channels: inner, numGroups }, stored?.at('mid_block.attentions.0')),
    );
    resnet('mid_block.resnets.1', inner, inner);
    levels.forEach((channels, level) => {
      const from = levels[level - 1] ?? inner;
      for (let i = 0; i <= layersPerBlock; i++)
        resnet(`up_blocks.${level}.resnets.${i}`, i === 0 ? from : channels, channels);
      if (level < levels.length - 1) {
        this.stages.push(upsample); // [N,2h,2w,C]
        conv(`up_blocks.${level}.upsamplers.0.conv`, channels, channels);
      }
    });
    this.stage('conv_norm_out', new GroupNorm({ channels: outer, numGroups, silu: true }, stored?.at('conv_norm_out')));
    conv('conv_out', outer, outChannels); // [N,H,W,3]
  }

  /** @param inputs [N,h,w,latentChannels] @returns [N,H,W,outChannels], nominally in [−1,1] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    let x = single<tf.Tensor4D>(inputs).clone();
    for (const stage of this.stages) {
      const next = stage(x);
      x.dispose(); // at 1024 px one activation is up to 1 GiB: none outlives its use
      x = next;
    }
    return x;
  }

  private stage(name: string, layer: Conv2d | ResnetBlock | SpatialAttention | GroupNorm): void {
    this.child(name, layer);
    this.stages.push((x) => layer.call(x));
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    const [n = null, h, w] = inputShape;
    const scale = 2 ** (this.config.blockOutChannels.length - 1);
    return [n, h == null ? null : h * scale, w == null ? null : w * scale, this.config.outChannels];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config, blockOutChannels: [...this.config.blockOutChannels] };
  }
}
serialization.registerClass(Decoder as unknown as serialization.SerializableConstructor<Decoder>);

/** Nearest neighbour ×2 (diffusers Upsample2D). */
function upsample(x: tf.Tensor4D): tf.Tensor4D {
  return tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]);
}

export class AutoencoderKL {
  private readonly postQuantConv: Conv2d;
  private readonly decoder: Decoder;

  private constructor(
    readonly config: AutoencoderKLConfig,
    stored?: WeightScope,
  ) {
    const { latentChannels: c } = config;
    this.postQuantConv = new Conv2d({ inChannels: c, outChannels: c, kernelSize: 1 }, stored?.at('post_quant_conv'));
    this.decoder = new Decoder(config, stored?.at('decoder'));
  }

  /** @throws CheckpointError when the decoder's tensors are not those of `config`. */
  static async fromWeights(config: AutoencoderKLConfig, weights: Weights): Promise<AutoencoderKL> {
    const vae = new AutoencoderKL(config, weights.scope());
    weights.expect(parameterShapesOf(vae.parts()));
    await buildParts(vae.parts(), weights);
    return vae;
  }

  /** Parameter name → shape of the decoder and its 1×1 convolution. */
  static parameterShapes(config: AutoencoderKLConfig): ReadonlyMap<string, Shape> {
    return parameterShapesOf(new AutoencoderKL(config).parts());
  }

  /** Pixels per latent position. */
  get scale(): number {
    return 2 ** (this.config.blockOutChannels.length - 1);
  }

  /**
   * @param z the model's latents [N,h,w,latentChannels]; divided by `scalingFactor` here
   * @returns [N,H,W,outChannels], nominally in [−1,1]
   */
  decode(z: tf.Tensor4D): tf.Tensor4D {
    assertShape('AutoencoderKL latents', z.shape, [null, null, null, this.config.latentChannels]);
    return tf.tidy(() => this.decoder.call(this.postQuantConv.call(tf.div(z, this.config.scalingFactor))));
  }

  dispose(): void {
    disposeParts(this.parts());
  }

  private parts(): readonly ModelPart[] {
    return [
      { path: 'post_quant_conv', layer: this.postQuantConv },
      { path: 'decoder', layer: this.decoder },
    ];
  }
}
