import * as z from 'zod';
import { CheckpointError } from '../errors.ts';
import type { AutoencoderKLConfig } from './autoencoder-config.ts';
import type { DiTConfig, TransformerSizes } from './dit-config.ts';
import type { PixArtConfig } from './pixart-config.ts';

const size = z.number().int().positive();

/** Far beyond any model; more is a damaged or hostile file, and every block costs memory before it has weights. */
const MAX_DEPTH = 1000;
const MAX_LEVELS = 16;

const TRANSFORMER_SIZES = z.object({
  hiddenSize: size.multipleOf(4),
  depth: size.max(MAX_DEPTH),
  numHeads: size,
  patchSize: size,
  mlpRatio: z.number().positive(),
  inChannels: size,
  outChannels: size,
  inputSize: size,
});

/** A check of sizes against each other, and what it finds wrong. */
type SizeCheck = readonly [fits: (c: TransformerSizes) => boolean, otherwise: string];
const WHOLE_HEADS: SizeCheck = [(c) => c.hiddenSize % c.numHeads === 0, 'hiddenSize is no multiple of numHeads'];
const WHOLE_PATCHES: SizeCheck = [(c) => c.inputSize % c.patchSize === 0, 'inputSize is no multiple of patchSize'];
const WHOLE_OUTPUT: SizeCheck = [(c) => c.outChannels >= c.inChannels, 'outChannels is less than inChannels'];

const DIT_CONFIG = TRANSFORMER_SIZES.extend({
  numClasses: size,
  frequencyShift: z.union([z.literal(0), z.literal(1)]),
  normEps: z.number().positive(),
})
  .refine(...WHOLE_HEADS)
  .refine(...WHOLE_PATCHES)
  .refine(...WHOLE_OUTPUT);

const PIXART_CONFIG = TRANSFORMER_SIZES.extend({
  captionChannels: size,
  interpolationScale: z.number().positive(),
  microConditions: z.boolean(),
  normEps: z.number().positive(),
})
  .refine(...WHOLE_HEADS)
  .refine(...WHOLE_PATCHES)
  .refine(...WHOLE_OUTPUT)
  .refine((c) => !c.microConditions || c.hiddenSize % 3 === 0, 'hiddenSize is no multiple of 3, for microConditions');

const AUTOENCODER_CONFIG = z
  .object({
    blockOutChannels: z.array(size).min(1).max(MAX_LEVELS),
    layersPerBlock: size.max(MAX_LEVELS),
    latentChannels: size,
    outChannels: size,
    normNumGroups: size,
    scalingFactor: z.number().positive(),
  })
  .refine(
    (c) => c.blockOutChannels.every((channels) => channels % c.normNumGroups === 0),
    'blockOutChannels are no multiples of normNumGroups',
  );

/** @throws CheckpointError that lists every field that does not fit. */
export function parseDiTConfig(where: string, json: unknown): DiTConfig {
  return parse(where, DIT_CONFIG, json);
}

/** @throws CheckpointError that lists every field that does not fit. */
export function parsePixArtConfig(where: string, json: unknown): PixArtConfig {
  return parse(where, PIXART_CONFIG, json);
}

/** @throws CheckpointError that lists every field that does not fit. */
export function parseAutoencoderKLConfig(where: string, json: unknown): AutoencoderKLConfig {
  return parse(where, AUTOENCODER_CONFIG, json);
}

function parse<T>(where: string, schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`${where}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
