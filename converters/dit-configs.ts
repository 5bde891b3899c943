import * as z from 'zod';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import type { DiTConfig } from '../src/models/dit-config.ts';
import { parseDiTConfig } from '../src/models/parse-config.ts';
import {
  DIFFUSERS_TRANSFORMER,
  parsed,
  shapeOf,
  size,
  sizesFromDiffusers,
  sizesFromShapes,
  type UnknownSizes,
} from './transformer-configs.ts';

/** The sizes of an original-layout DiT, read off its tensors' shapes. */
export function ditConfigFromShapes(archive: TensorArchive, given: UnknownSizes): DiTConfig {
  const sizes = sizesFromShapes(archive, given, 'DiT');
  const [rows = 0] = shapeOf(archive, 'y_embedder.embedding_table.weight', 'DiT');
  return parseDiTConfig(archive.name, {
    ...sizes,
    numClasses: rows - 1,
    frequencyShift: 0,
    normEps: 1e-6,
  });
}

// Missing keys take the defaults of diffusers' DiTTransformer2DModel.
const DIFFUSERS_DIT = DIFFUSERS_TRANSFORMER.extend({
  out_channels: size.nullish(),
  sample_size: size.default(32),
  num_embeds_ada_norm: size.default(1000),
  norm_type: z.literal('ada_norm_zero', 'only DiT (ada_norm_zero) is read').default('ada_norm_zero'),
  norm_eps: z.number().positive().default(1e-5),
});

/** diffusers' transformer/config.json. */
export function ditConfigFromDiffusers(where: string, json: unknown): DiTConfig {
  const c = parsed(where, DIFFUSERS_DIT, json);
  return parseDiTConfig(where, {
    ...sizesFromDiffusers(c),
    numClasses: c.num_embeds_ada_norm,
    frequencyShift: 1,
    normEps: c.norm_eps,
  });
}
