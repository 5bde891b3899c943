import type * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { type AutoencoderKLConfig, autoencoderScale } from './autoencoder-config.ts';
import { AutoencoderStages } from './autoencoder-stages.ts';

/** Latents to pictures. Named after diffusers' `Decoder`: conv_in, mid_block, up_blocks, conv_norm_out, conv_out. */
export class Decoder extends AutoencoderStages {
  static readonly className = 'AutoencoderKLDecoder';

  constructor(
    private readonly config: AutoencoderKLConfig,
    stored?: WeightScope,
  ) {
    const { blockOutChannels, layersPerBlock, latentChannels, outChannels, normNumGroups } = config;
    super(normNumGroups, stored);
    const levels = [...blockOutChannels].reverse(); // from the latent outwards
    const [inner = 0] = levels;
    const outer = levels[levels.length - 1] ?? 0;

    this.conv('conv_in', latentChannels, inner); // [N,h,w,C]
    this.middle(inner); // [N,h,w,C]
    levels.forEach((channels, level) => {
      const block = `up_blocks.${level}`;
      const from = levels[level - 1] ?? inner;
      for (let i = 0; i <= layersPerBlock; i++)
        this.resnet(`${block}.resnets.${i}`, i === 0 ? from : channels, channels); // [N,h,w,C']
      if (level < levels.length - 1) this.upsample(`${block}.upsamplers.0.conv`, channels); // [N,2h,2w,C']
    });
    this.last(outer, outChannels); // [N,H,W,3]
  }

  /** @param inputs [N,h,w,latentChannels] @returns [N,H,W,outChannels], nominally in [−1,1] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    return super.call(inputs);
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    const [n = null, h, w] = inputShape;
    const scale = autoencoderScale(this.config);
    return [n, h == null ? null : h * scale, w == null ? null : w * scale, this.config.outChannels];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config, blockOutChannels: [...this.config.blockOutChannels] };
  }
}
serialization.registerClass(Decoder as unknown as serialization.SerializableConstructor<Decoder>);
