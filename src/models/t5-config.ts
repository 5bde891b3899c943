import * as z from 'zod';
import { CheckpointError } from '../errors.ts';

/** Sizes of the encoder of T5 v1.1 (gated GELU). */
export interface T5EncoderConfig {
  readonly vocabSize: number;
  /** Width of the embeddings and of what the encoder gives. */
  readonly hiddenSize: number;
  readonly depth: number;
  readonly numHeads: number;
  /** Features of a head; `numHeads` of them may be more or less than `hiddenSize`. */
  readonly headDim: number;
  readonly feedForwardSize: number;
  /** Rows of the table of relative position biases. */
  readonly numBuckets: number;
  /** From here on all distances share a bucket. */
  readonly maxDistance: number;
  readonly normEps: number;
}

/** The text encoder of PixArt-α and others (google/t5-v1_1-xxl): 4,762,310,656 parameters. */
export const T5_XXL: T5EncoderConfig = {
  vocabSize: 32128,
  hiddenSize: 4096,
  depth: 24,
  numHeads: 64,
  headDim: 64,
  feedForwardSize: 10240,
  numBuckets: 32,
  maxDistance: 128,
  normEps: 1e-6,
};

/** Far beyond any model; more is a damaged or hostile file, and every layer costs memory before it has weights. */
const MAX_DEPTH = 1000;

const size = z.number().int().positive();

const T5_CONFIG = z
  .object({
    vocabSize: size,
    hiddenSize: size,
    depth: size.max(MAX_DEPTH),
    numHeads: size,
    headDim: size,
    feedForwardSize: size,
    numBuckets: size.min(4).multipleOf(2),
    maxDistance: size,
    normEps: z.number().positive(),
  })
  .refine(
    (c) => c.maxDistance > c.numBuckets / 4,
    'maxDistance is no more than the distances with a bucket of their own',
  );

/** @throws CheckpointError that lists every field that does not fit. */
export function parseT5EncoderConfig(where: string, json: unknown): T5EncoderConfig {
  const parsed = T5_CONFIG.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`${where}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
