import { z } from 'zod';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError, OptionError } from '../src/errors.ts';
import { type DiTConfig, headsOfWidth } from '../src/models/dit-config.ts';
import { parseDiTConfig } from '../src/models/parse-config.ts';

/** What weights alone do not tell. */
export interface UnknownSizes {
  /** Needed at widths other than the paper's. */
  readonly numHeads?: number | undefined;
  /** Height and width of the latent; needed where the file has no position table. */
  readonly inputSize?: number | undefined;
}

/** The sizes of an original-layout DiT, read off its tensors' shapes. */
export function ditConfigFromShapes(archive: TensorArchive, given: UnknownSizes): DiTConfig {
  const shapeOf = (name: string): readonly number[] => {
    const tensor = archive.tensors.get(name);
    if (!tensor)
      throw new CheckpointError(
        `${archive.name}: ${name} is missing, so this is no whole DiT; see "delta-dit inspect"`,
      );
    return tensor.shape;
  };
  const [hiddenSize = 0, inChannels = 0, patchSize = 0] = shapeOf('x_embedder.proj.weight');
  const [rows = 0] = shapeOf('y_embedder.embedding_table.weight');
  const [inner = 0] = shapeOf('blocks.0.mlp.fc1.weight');
  const [outFeatures = 0] = shapeOf('final_layer.linear.weight');
  return parseDiTConfig(archive.name, {
    hiddenSize,
    depth: blockCount(archive, /^blocks\.(\d+)\./),
    numHeads: headsOfWidth(hiddenSize, given.numHeads),
    patchSize,
    mlpRatio: inner / hiddenSize,
    inChannels,
    outChannels: outFeatures / patchSize ** 2,
    inputSize: given.inputSize ?? inputSizeOf(archive, patchSize),
    numClasses: rows - 1,
    frequencyShift: 0,
    normEps: 1e-6,
  });
}

/** Height and width of the latent that a stored position table is for. @throws OptionError when there is none. */
export function inputSizeOf(archive: TensorArchive, patchSize: number): number {
  const tokens = archive.tensors.get('pos_embed')?.shape[1];
  if (tokens === undefined) {
    throw new OptionError(
      `${archive.name}: has no position table to read the latent's size from; give --input-size (inputSize)`,
    );
  }
  return Math.sqrt(tokens) * patchSize;
}

/**
 * How many numbers from 0 up `pattern` finds.
 * @throws CheckpointError when they are more than there are tensors.
 */
export function blockCount(archive: TensorArchive, pattern: RegExp): number {
  const found = [...archive.tensors.keys()].map((name) => Number(pattern.exec(name)?.[1] ?? -1));
  const count = found.reduce((most, i) => Math.max(most, i), -1) + 1;
  if (count <= archive.tensors.size) return count;
  throw new CheckpointError(
    `${archive.name}: names a block ${count - 1} and has only ${archive.tensors.size} tensors; do not use this file`,
  );
}

const size = z.number().int().positive();

// Missing keys take the defaults of diffusers' DiTTransformer2DModel.
const DIFFUSERS_DIT = z.object({
  num_attention_heads: size.default(16),
  attention_head_dim: size.default(72),
  in_channels: size.default(4),
  out_channels: size.nullish(),
  num_layers: size.default(28),
  sample_size: size.default(32),
  patch_size: size.default(2),
  num_embeds_ada_norm: size.default(1000),
  norm_type: z.literal('ada_norm_zero', 'only DiT (ada_norm_zero) is read').default('ada_norm_zero'),
  norm_eps: z.number().positive().default(1e-5),
  activation_fn: z.literal('gelu-approximate').default('gelu-approximate'),
  attention_bias: z.literal(true).default(true),
});

/** diffusers' transformer/config.json. */
export function ditConfigFromDiffusers(where: string, json: unknown): DiTConfig {
  const c = parsed(where, DIFFUSERS_DIT, json);
  return parseDiTConfig(where, {
    hiddenSize: c.num_attention_heads * c.attention_head_dim,
    depth: c.num_layers,
    numHeads: c.num_attention_heads,
    patchSize: c.patch_size,
    mlpRatio: 4,
    inChannels: c.in_channels,
    outChannels: c.out_channels ?? c.in_channels,
    inputSize: c.sample_size,
    numClasses: c.num_embeds_ada_norm,
    frequencyShift: 1,
    normEps: c.norm_eps,
  });
}

/** @throws CheckpointError that lists every field that does not fit. */
export function parsed<T>(where: string, schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json);
  if (!result.success) throw new CheckpointError(`${where}: ${z.prettifyError(result.error)}`);
  return result.data;
}
