import * as tf from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { Composite } from '../layers/composite.ts';
import { Conv2d, Downsample2d } from '../layers/conv2d.ts';
import { GroupNorm } from '../layers/group-norm.ts';
import { single } from '../layers/tensors.ts';
import { UpsampleConv2d } from '../layers/upsample-conv2d.ts';
import { convInBands, normInBands, upsampleInBands } from './autoencoder-bands.ts';
import { ResnetBlock, SpatialAttention } from './autoencoder-blocks.ts';
import type { RowBands, RowTiling } from './row-bands.ts';

interface Stage {
  readonly whole: (x: tf.Tensor4D) => tf.Tensor4D;
  /** The same in bands of rows, where that is known; it uses its input up. */
  readonly inBands?: (x: RowBands, tiling: RowTiling) => Promise<RowBands>;
}

/** Stages one after the other, under diffusers' names: what the encoder and the decoder have in common. */
export abstract class AutoencoderStages extends Composite {
  private readonly stages: Stage[] = [];

  protected constructor(
    private readonly numGroups: number,
    private readonly stored: WeightScope | undefined,
  ) {
    super();
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    let x = single<tf.Tensor4D>(inputs).clone();
    for (const stage of this.stages) {
      const next = stage.whole(x);
      x.dispose(); // at 1024 px one activation is up to 1 GiB: none outlives its use
      x = next;
    }
    return x;
  }

  /** `call` in bands of rows. @param x borrowed; the tiling, too, stays the caller's to dispose */
  async callInBands(x: tf.Tensor4D, tiling: RowTiling): Promise<tf.Tensor4D> {
    let bands = tiling.bands(x.clone());
    for (const { whole, inBands } of this.stages) {
      const next = inBands ? await inBands(bands, tiling) : tiling.bands(tf.tidy(() => whole(bands.join())));
      bands.dispose();
      bands = next;
    }
    return bands.join();
  }

  protected conv(name: string, inChannels: number, outChannels: number): void {
    const conv = new Conv2d({ inChannels, outChannels, kernelSize: 3 }, this.stored?.at(name));
    this.layer(name, conv, (x, tiling) => convInBands(conv, x, tiling));
  }

  protected downsample(name: string, channels: number): void {
    this.layer(name, new Downsample2d({ inChannels: channels, outChannels: channels }, this.stored?.at(name)));
  }

  /** Twice the height and width. */
  protected upsample(name: string, channels: number): void {
    const upsample = new UpsampleConv2d({ inChannels: channels, outChannels: channels }, this.stored?.at(name));
    this.layer(name, upsample, (x, tiling) => upsampleInBands(upsample, x, tiling));
  }

  protected resnet(name: string, inChannels: number, outChannels: number): void {
    const sizes = { inChannels, outChannels, numGroups: this.numGroups };
    const resnet = new ResnetBlock(sizes, this.stored?.at(name));
    this.layer(name, resnet, (x, tiling) => resnet.callInBands(x, tiling));
  }

  /** Resnet, attention, resnet. */
  protected middle(channels: number): void {
    const name = 'mid_block.attentions.0';
    this.resnet('mid_block.resnets.0', channels, channels);
    this.layer(name, new SpatialAttention({ channels, numGroups: this.numGroups }, this.stored?.at(name)));
    this.resnet('mid_block.resnets.1', channels, channels);
  }

  /** GN → SiLU → conv. */
  protected last(inChannels: number, outChannels: number): void {
    const name = 'conv_norm_out';
    const sizes = { channels: inChannels, numGroups: this.numGroups, silu: true };
    const norm = new GroupNorm(sizes, this.stored?.at(name));
    this.layer(name, norm, (x, tiling) => normInBands(norm, x, tiling));
    this.conv('conv_out', inChannels, outChannels);
  }

  private layer(
    name: string,
    layer: Conv2d | Downsample2d | UpsampleConv2d | ResnetBlock | SpatialAttention | GroupNorm,
    inBands?: Stage['inBands'],
  ): void {
    this.child(name, layer);
    this.stages.push({ whole: (x) => layer.call(x), ...(inBands ? { inBands } : {}) });
  }
}
