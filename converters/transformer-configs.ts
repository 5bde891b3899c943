import * as z from 'zod';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError, OptionError } from '../src/errors.ts';
import { headsOfWidth, type TransformerSizes } from '../src/models/dit-config.ts';

/** What weights alone do not tell. */
export interface UnknownSizes {
  /** Needed at widths other than the paper's. */
  readonly numHeads?: number | undefined;
  /** Height and width of the latent; needed where the file has no position table. */
  readonly inputSize?: number | undefined;
}

/** @param what the model is, for the error @throws CheckpointError when the tensor is absent. */
export function shapeOf({ name, tensors }: TensorArchive, tensor: string, what: string): readonly number[] {
  const found = tensors.get(tensor);
  if (found) return found.shape;
  throw new CheckpointError(`${name}: ${tensor} is missing, so this is no whole ${what}; see "delta-dit inspect"`);
}

/** The sizes of a transformer in the layout of its original code, read off its tensors' shapes. */
export function sizesFromShapes(archive: TensorArchive, given: UnknownSizes, what: string): TransformerSizes {
  const [hiddenSize = 0, inChannels = 0, patchSize = 0] = shapeOf(archive, 'x_embedder.proj.weight', what);
  const [inner = 0] = shapeOf(archive, 'blocks.0.mlp.fc1.weight', what);
  const [outFeatures = 0] = shapeOf(archive, 'final_layer.linear.weight', what);
  return {
    hiddenSize,
    depth: blockCount(archive, /^blocks\.(\d+)\./),
    numHeads: headsOfWidth(hiddenSize, given.numHeads),
    patchSize,
    mlpRatio: inner / hiddenSize,
    inChannels,
    outChannels: outFeatures / patchSize ** 2,
    inputSize: given.inputSize ?? inputSizeOf(archive, patchSize),
  };
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

export const size = z.number().int().positive();

/** Of diffusers' transformer/config.json, what DiT and PixArt share; missing keys take their classes' defaults. */
export const DIFFUSERS_TRANSFORMER = z.object({
  num_attention_heads: size.default(16),
  attention_head_dim: size.default(72),
  in_channels: size.default(4),
  num_layers: size.default(28),
  patch_size: size.default(2),
  activation_fn: z.literal('gelu-approximate').default('gelu-approximate'),
  attention_bias: z.literal(true).default(true),
});

export function sizesFromDiffusers(
  c: z.infer<typeof DIFFUSERS_TRANSFORMER> & {
    readonly out_channels?: number | null | undefined;
    readonly sample_size: number;
  },
): TransformerSizes {
  return {
    hiddenSize: c.num_attention_heads * c.attention_head_dim,
    depth: c.num_layers,
    numHeads: c.num_attention_heads,
    patchSize: c.patch_size,
    mlpRatio: 4,
    inChannels: c.in_channels,
    outChannels: c.out_channels ?? c.in_channels,
    inputSize: c.sample_size,
  };
}

/** @throws CheckpointError that lists every field that does not fit. */
export function parsed<T>(where: string, schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json);
  if (!result.success) throw new CheckpointError(`${where}: ${z.prettifyError(result.error)}`);
  return result.data;
}
