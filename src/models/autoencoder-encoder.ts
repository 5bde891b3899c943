import type * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { type AutoencoderKLConfig, autoencoderScale } from './autoencoder-config.ts';
import { AutoencoderStages } from './autoencoder-stages.ts';

/** Pictures to moments. Named after diffusers' `Encoder`: conv_in, down_blocks, mid_block, conv_norm_out, conv_out. */
export class Encoder extends AutoencoderStages {
  static readonly className = 'AutoencoderKLEncoder';

  constructor(
    private readonly config: AutoencoderKLConfig,
    stored?: WeightScope,
  ) {
    const { blockOutChannels: levels, layersPerBlock, latentChannels, outChannels, normNumGroups } = config;
    super(normNumGroups, stored);
    const [outer = 0] = levels; // from the picture inwards
    const inner = levels[levels.length - 1] ?? 0;

    this.conv('conv_in', outChannels, outer); // [N,H,W,C]
    levels.forEach((channels, level) => {
      const block = `down_blocks.${level}`;
      const from = levels[level - 1] ?? outer;
      for (let i = 0; i < layersPerBlock; i++)
        this.resnet(`${block}.resnets.${i}`, i === 0 ? from : channels, channels); // [N,H,W,C']
      if (level < levels.length - 1) this.downsample(`${block}.downsamplers.0.conv`, channels); // [N,⌊H/2⌋,⌊W/2⌋,C']
    });
    this.middle(inner); // [N,h,w,C']
    this.last(inner, 2 * latentChannels); // [N,h,w,2·latentChannels]
  }

  /** @param inputs [N,H,W,outChannels] in [−1,1] @returns [N,h,w,2·latentChannels], before `quant_conv` */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    return super.call(inputs);
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    const [n = null, height, width] = inputShape;
    const scale = autoencoderScale(this.config);
    const shrunk = (size: number | null | undefined) => (size == null ? null : Math.floor(size / scale));
    return [n, shrunk(height), shrunk(width), 2 * this.config.latentChannels];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config, blockOutChannels: [...this.config.blockOutChannels] };
  }
}
serialization.registerClass(Encoder as unknown as serialization.SerializableConstructor<Encoder>);
