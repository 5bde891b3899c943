import * as z from 'zod';
import { CheckpointError } from '../errors.ts';

/** Sizes of a small residual classifier of pictures. */
export interface ImageClassifierConfig {
  /** Height and width of its pictures, in pixels. */
  readonly imageSize: number;
  readonly inChannels: number;
  /** Channels of each stage, every one at half the size of the one before; the last is the number of features. */
  readonly channels: readonly number[];
  /** Residual blocks of each stage. */
  readonly blocks: number;
  readonly numLabels: number;
}

/** One label of a classifier. */
export interface ImageLabel {
  /** What prompts call it. */
  readonly names: readonly string[];
  /** The class that it belongs to with others, where it belongs to one. */
  readonly group?: string;
}

/** Far beyond any such model; more is a damaged or hostile file. */
const MAX_STAGES = 16;
const MAX_BLOCKS = 100;

const size = z.number().int().positive();

const CONFIG = z
  .object({
    imageSize: size.max(4096),
    inChannels: z.literal(3),
    channels: z.array(size).min(1).max(MAX_STAGES),
    blocks: z.number().int().nonnegative().max(MAX_BLOCKS),
    numLabels: size,
  })
  .refine((c) => c.imageSize % 2 ** c.channels.length === 0, 'imageSize cannot be halved by every stage');

/** @throws CheckpointError that lists every field that does not fit. */
export function parseImageClassifierConfig(where: string, json: unknown): ImageClassifierConfig {
  const parsed = CONFIG.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`${where}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
