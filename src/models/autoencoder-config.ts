import type { TensorArchive } from '../checkpoint/stored-tensor.ts';

/** Sizes of an AutoencoderKL, of diffusers' config.json what the model needs. */
export interface AutoencoderKLConfig {
  /** Channels per level, from the image inwards. */
  readonly blockOutChannels: readonly number[];
  /** Resnets per encoder level; the decoder has one more. */
  readonly layersPerBlock: number;
  readonly latentChannels: number;
  /** Channels of the picture, on the way in and on the way out. */
  readonly outChannels: number;
  readonly normNumGroups: number;
  /** The model's latents are this factor times the autoencoder's. */
  readonly scalingFactor: number;
}

/** An opened AutoencoderKL, whatever its layout on disk. Nothing is read before it is asked. */
export interface AutoencoderKLCheckpoint {
  readonly config: AutoencoderKLConfig;
  /** The archive may hold the encoder or not. */
  readonly archive: TensorArchive;
}

/** Names of the encoder's parameters, which a checkpoint may hold beside the decoder's. */
export const AUTOENCODER_ENCODER = /^(encoder|quant_conv)\./;

/** Pixels per latent position, on each side. */
export function autoencoderScale({ blockOutChannels }: AutoencoderKLConfig): number {
  return 2 ** (blockOutChannels.length - 1);
}
