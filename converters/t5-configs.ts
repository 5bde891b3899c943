import * as z from 'zod';
import { parseT5EncoderConfig, type T5EncoderConfig } from '../src/models/t5-config.ts';
import { parsed } from './transformer-configs.ts';

const size = z.number().int().positive();

// Missing keys take the defaults of transformers' T5Config.
const TRANSFORMERS_T5 = z.object({
  model_type: z.literal('t5', 'only T5 is read, not its relatives').default('t5'),
  vocab_size: size.default(32128),
  d_model: size.default(512),
  d_kv: size.default(64),
  d_ff: size.default(2048),
  num_layers: size.default(6),
  num_heads: size.default(8),
  relative_attention_num_buckets: size.default(32),
  relative_attention_max_distance: size.default(128),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  feed_forward_proj: z
    .string()
    .default('relu')
    .refine((name) => name === 'gated-gelu', {
      error: ({ input }) =>
        `expected "gated-gelu" (T5 v1.1, which PixArt uses), got ${JSON.stringify(input)}: T5 v1.0 and other activations are not read; give the folder of a t5-v1_1 encoder`,
    }),
  dense_act_fn: z.enum(['gelu_new', 'gelu_pytorch_tanh']).default('gelu_new'), // two names of the tanh approximation
  is_decoder: z.literal(false, 'a decoder is not read; give a T5EncoderModel, or a whole T5').default(false),
  quantization_config: z
    .null('quantised weights are not read; give the encoder in float32, float16 or bfloat16')
    .default(null),
});

/** transformers' text_encoder/config.json. @throws CheckpointError that lists every field that does not fit. */
export function t5ConfigFromTransformers(where: string, json: unknown): T5EncoderConfig {
  const c = parsed(where, TRANSFORMERS_T5, json);
  return parseT5EncoderConfig(where, {
    vocabSize: c.vocab_size,
    hiddenSize: c.d_model,
    depth: c.num_layers,
    numHeads: c.num_heads,
    headDim: c.d_kv,
    feedForwardSize: c.d_ff,
    numBuckets: c.relative_attention_num_buckets,
    maxDistance: c.relative_attention_max_distance,
    normEps: c.layer_norm_epsilon,
  });
}
