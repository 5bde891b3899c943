import { z } from 'zod';
import { CheckpointError } from '../errors.ts';

/** The file that makes a folder a converted checkpoint. */
export const MANIFEST_NAME = 'manifest.json';

const sized = { bytes: z.number().int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) };

const FILE = z.object({
  name: z.string().regex(/^[\w.-]+\.safetensors$/, 'expected a plain .safetensors file name'),
  ...sized,
});

const COMPONENT = z.object({
  config: z.record(z.string(), z.unknown()),
  dtype: z.enum(['F32', 'F16', 'BF16']),
  files: z.array(FILE).min(1).max(10_000),
});

/** Files of a tokenizer, as transformers names them, that a converted checkpoint keeps as they are. */
export const TOKENIZER_FILES = [
  'spiece.model',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
] as const;

const FORMAT = { format: z.literal('delta-dit'), version: z.literal(1) };
const MODELS = {
  numerics: z.enum(['original', 'diffusers']),
  transformer: COMPONENT,
  vae: COMPONENT,
  scheduler: z.record(z.string(), z.unknown()),
};
const ORIGIN = {
  defaults: z.object({
    numInferenceSteps: z.number().int().positive().exactOptional(),
    guidanceScale: z.number().exactOptional(),
  }),
  /** What it was converted from. */
  source: z.array(z.object({ name: z.string(), bytes: z.number().int(), sha256: z.string() })),
};

const DIT_MANIFEST = z.object({
  ...FORMAT,
  pipeline: z.literal('DiTPipeline'),
  ...MODELS,
  labels: z.array(z.string()),
  ...ORIGIN,
});

const PIXART_MANIFEST = z.object({
  ...FORMAT,
  pipeline: z.literal('PixArtPipeline'),
  ...MODELS,
  /** Absent where it was left out. */
  textEncoder: COMPONENT.exactOptional(),
  tokenizer: z.array(z.object({ name: z.enum(TOKENIZER_FILES), ...sized })),
  ...ORIGIN,
});

const MANIFEST = z.discriminatedUnion('pipeline', [DIT_MANIFEST, PIXART_MANIFEST]);

/** One file of a converted checkpoint: the safetensors of a component, or of the tokenizer. */
export interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}
/** A model of the checkpoint: its configuration, storage type and files. */
export type ManifestComponent = z.infer<typeof COMPONENT>;
export type DiTManifest = z.infer<typeof DIT_MANIFEST>;
export type PixArtManifest = z.infer<typeof PIXART_MANIFEST>;
/** Everything that a converted checkpoint says of itself; `pipeline` tells the model. */
export type Manifest = DiTManifest | PixArtManifest;

export type ComponentName = 'transformer' | 'vae' | 'textEncoder';

/** The models of a checkpoint, by their names in the manifest, in the order in which they are written. */
export function componentsOf(manifest: Manifest): ReadonlyMap<ComponentName, ManifestComponent> {
  const components = new Map<ComponentName, ManifestComponent>([
    ['transformer', manifest.transformer],
    ['vae', manifest.vae],
  ]);
  if (manifest.pipeline === 'PixArtPipeline' && manifest.textEncoder)
    components.set('textEncoder', manifest.textEncoder);
  return components;
}

/** @throws CheckpointError that lists every field that does not fit. */
export function parseManifest(where: string, text: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${where}: not JSON (${(cause as Error).message}); convert the checkpoint again`);
  }
  const parsed = MANIFEST.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`${where}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
