import * as z from 'zod';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError, OptionError } from '../src/errors.ts';
import type { AutoencoderKLConfig } from '../src/models/autoencoder-config.ts';
import { parseAutoencoderKLConfig } from '../src/models/parse-config.ts';
import { blockCount, parsed } from './transformer-configs.ts';

/** What weights alone do not tell of an autoencoder; each wins over a config.json. */
export interface AutoencoderSizes {
  /** Default: the config's, else 0.18215 (sd-vae-ft-ema, sd-vae-ft-mse). SDXL's is 0.13025. */
  readonly vaeScalingFactor?: number | undefined;
  /** Groups of the norms. Default: the config's, else 32. */
  readonly vaeNormGroups?: number | undefined;
}

// The defaults of diffusers' AutoencoderKL, and of CompVis/latent-diffusion.
const SCALING_FACTOR = 0.18215;
const NORM_GROUPS = 32;

const size = z.number().int().positive();

// Missing keys take the defaults of diffusers' AutoencoderKL.
const DIFFUSERS_AUTOENCODER = z.object({
  block_out_channels: z.array(size).min(1).default([64]),
  layers_per_block: size.default(1),
  latent_channels: size.default(4),
  out_channels: size.default(3),
  norm_num_groups: size.default(NORM_GROUPS),
  scaling_factor: z.number().positive().default(SCALING_FACTOR),
  act_fn: z.literal('silu').default('silu'),
  up_block_types: z.array(z.literal('UpDecoderBlock2D')).optional(),
  mid_block_add_attention: z.literal(true).default(true),
  use_post_quant_conv: z.literal(true).default(true),
  shift_factor: z.null().default(null),
  latents_mean: z.null().default(null),
  latents_std: z.null().default(null),
});

/** diffusers' vae/config.json. */
export function autoencoderConfigFromDiffusers(
  where: string,
  json: unknown,
  given: AutoencoderSizes,
): AutoencoderKLConfig {
  const c = parsed(where, DIFFUSERS_AUTOENCODER, json);
  return parseAutoencoderKLConfig(where, {
    blockOutChannels: c.block_out_channels,
    layersPerBlock: c.layers_per_block,
    latentChannels: c.latent_channels,
    outChannels: c.out_channels,
    normNumGroups: given.vaeNormGroups ?? c.norm_num_groups,
    scalingFactor: given.vaeScalingFactor ?? c.scaling_factor,
  });
}

/** The sizes of a decoder, read off its tensors' shapes in our own layout (kernels HWIO). */
export function autoencoderConfigFromShapes(archive: TensorArchive, given: AutoencoderSizes): AutoencoderKLConfig {
  const kernel = (name: string): { readonly inChannels: number; readonly outChannels: number } => {
    const shape = archive.tensors.get(`decoder.${name}.kernel`)?.shape;
    if (!shape) {
      throw new CheckpointError(
        `${archive.name}: decoder.${name} is missing, so this is no whole AutoencoderKL; see "delta-dit inspect"`,
      );
    }
    const [, , inChannels = 0, outChannels = 0] = shape;
    return { inChannels, outChannels };
  };
  const levels = blockCount(archive, /^decoder\.up_blocks\.(\d+)\./);
  const outwards = Array.from({ length: levels }, (_, i) => kernel(`up_blocks.${i}.resnets.0.conv1`).outChannels);
  return parseAutoencoderKLConfig(archive.name, {
    blockOutChannels: [...outwards].reverse(),
    layersPerBlock: blockCount(archive, /^decoder\.up_blocks\.0\.resnets\.(\d+)\./) - 1,
    latentChannels: kernel('conv_in').inChannels,
    outChannels: kernel('conv_out').outChannels,
    normNumGroups: given.vaeNormGroups ?? groupsOf(archive.name, outwards),
    scalingFactor: given.vaeScalingFactor ?? SCALING_FACTOR,
  });
}

function groupsOf(where: string, channels: readonly number[]): number {
  const odd = channels.find((count) => count % NORM_GROUPS !== 0);
  if (odd === undefined) return NORM_GROUPS;
  throw new OptionError(
    `${where}: the groups of its norms cannot be read from weights, and are not the usual ${NORM_GROUPS} at ${odd} channels; give --vae-norm-groups (vaeNormGroups)`,
  );
}
