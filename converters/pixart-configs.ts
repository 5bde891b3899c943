import * as z from 'zod';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../src/errors.ts';
import { parsePixArtConfig } from '../src/models/parse-config.ts';
import { interpolationScaleOf, type PixArtConfig } from '../src/models/pixart-config.ts';
import {
  DIFFUSERS_TRANSFORMER,
  parsed,
  shapeOf,
  size,
  sizesFromDiffusers,
  sizesFromShapes,
  type UnknownSizes,
} from './transformer-configs.ts';

/** What weights alone do not tell. */
export interface PixArtUnknownSizes extends UnknownSizes {
  /** Default: 2 where the latent is 128, 1 below. */
  readonly interpolationScale?: number | undefined;
}

/** The sizes of an original-layout PixArt, read off its tensors' shapes. */
export function pixArtConfigFromShapes(archive: TensorArchive, given: PixArtUnknownSizes): PixArtConfig {
  const sizes = sizesFromShapes(archive, given, 'PixArt');
  const [, captionChannels = 0] = shapeOf(archive, 'y_embedder.y_proj.fc1.weight', 'PixArt');
  return parsePixArtConfig(archive.name, {
    ...sizes,
    captionChannels,
    interpolationScale: given.interpolationScale ?? interpolationScaleOf(sizes.inputSize),
    microConditions: archive.tensors.has('csize_embedder.mlp.0.weight'),
    normEps: 1e-6,
  });
}

// Missing keys take the defaults of diffusers' PixArtTransformer2DModel.
const DIFFUSERS_PIXART = DIFFUSERS_TRANSFORMER.extend({
  out_channels: size.nullable().default(8),
  cross_attention_dim: size.nullable().default(1152),
  sample_size: size.default(128),
  caption_channels: size,
  norm_type: z.literal('ada_norm_single', 'only PixArt (ada_norm_single) is read').default('ada_norm_single'),
  norm_eps: z.number().positive().default(1e-6),
  norm_elementwise_affine: z.literal(false).default(false),
  attention_type: z.literal('default').default('default'),
  interpolation_scale: z.number().positive().nullable().default(null),
  use_additional_conditions: z.boolean().nullable().default(null),
}).refine(
  (c) => (c.cross_attention_dim ?? 0) === c.num_attention_heads * c.attention_head_dim,
  'cross_attention_dim differs from the width that captions are projected to',
);

/** diffusers' transformer/config.json. */
export function pixArtConfigFromDiffusers(where: string, json: unknown): PixArtConfig {
  const c = parsed(where, DIFFUSERS_PIXART, json);
  return parsePixArtConfig(where, {
    ...sizesFromDiffusers(c),
    captionChannels: c.caption_channels,
    interpolationScale: c.interpolation_scale ?? interpolationScaleOf(c.sample_size),
    microConditions: c.use_additional_conditions ?? c.sample_size === 128,
    normEps: c.norm_eps,
  });
}

/** Tokens of a PixArt-Σ caption; α has 120. */
const SIGMA_CAPTION_LENGTH = 300;
/** What only PixArt-Σ can have, by its names in the original and in diffusers' layout. */
const SIGMA_PARTS: readonly (readonly [names: RegExp, what: string])[] = [
  [/\.attn\d?\.(?:[qk]_norm|norm_[qk])\./, 'norms of queries and keys'],
  [/\.attn\d?\.sr\./, 'compression of keys and values'],
];

/** What a PixArt has that only Σ can have, in words; α has none of it. */
export function sigmaParts({ tensors }: TensorArchive): readonly string[] {
  const found = SIGMA_PARTS.filter(([names]) => [...tensors.keys()].some((key) => names.test(key)));
  const captions = ['y_embedder.y_embedding', 'caption_projection.y_embedding'].map(
    (key) => tensors.get(key)?.shape[0],
  );
  return [
    ...found.map(([, part]) => part),
    ...(captions.includes(SIGMA_CAPTION_LENGTH) ? [`captions of ${SIGMA_CAPTION_LENGTH} tokens`] : []),
  ];
}

/** @throws CheckpointError that names what tells PixArt-Σ, whose captions and autoencoder are not α's. */
export function refuseSigma(archive: TensorArchive): void {
  const parts = sigmaParts(archive);
  if (parts.length === 0) return;
  throw new CheckpointError(
    `${archive.name}: has ${parts.join(' and ')}, so it is PixArt-Σ, which is not supported yet; PixArt-α is`,
  );
}

/** What diffusers' conversion script gives an original PixArt-α: DPM-Solver++ over DiT's linear betas. */
export const ORIGINAL_SCHEDULER = {
  _class_name: 'DPMSolverMultistepScheduler',
  beta_start: 1e-4,
  beta_end: 0.02,
  beta_schedule: 'linear',
} as const;
