import * as z from 'zod';
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

/** The file of a converted checkpoint that holds its cache plan, where it has one. */
export const CACHE_PLAN_NAME = 'cache-plan.json';

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
/** What it was converted from. */
const SOURCE = z.array(z.object({ name: z.string(), bytes: z.number().int(), sha256: z.string() }));
const ORIGIN = {
  defaults: z.object({
    numInferenceSteps: z.number().int().positive().exactOptional(),
    guidanceScale: z.number().exactOptional(),
  }),
  source: SOURCE,
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

const CLASSIFIER_MANIFEST = z.object({
  ...FORMAT,
  pipeline: z.literal('ImageClassifier'),
  classifier: COMPONENT,
  /** What a prompt may call each label, and the class that it belongs to. */
  labels: z.array(z.object({ names: z.array(z.string()).min(1), group: z.string().exactOptional() })),
  source: SOURCE,
});

const MANIFEST = z.discriminatedUnion('pipeline', [DIT_MANIFEST, PIXART_MANIFEST, CLASSIFIER_MANIFEST]);

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
/** Of a model that tells what pictures show. */
export type ClassifierManifest = z.infer<typeof CLASSIFIER_MANIFEST>;
/** Everything that a converted checkpoint of a model that makes pictures says of itself; `pipeline` tells the model. */
export type Manifest = DiTManifest | PixArtManifest;
export type AnyManifest = Manifest | ClassifierManifest;

export type ComponentName = 'transformer' | 'vae' | 'textEncoder';
export type AnyComponentName = ComponentName | 'classifier';

/** The models of a checkpoint, by their names in the manifest, in the order in which they are written. */
export function componentsOf(manifest: AnyManifest): ReadonlyMap<AnyComponentName, ManifestComponent> {
  if (manifest.pipeline === 'ImageClassifier') return new Map([['classifier', manifest.classifier]]);
  const components = new Map<AnyComponentName, ManifestComponent>([
    ['transformer', manifest.transformer],
    ['vae', manifest.vae],
  ]);
  if (manifest.pipeline === 'PixArtPipeline' && manifest.textEncoder)
    components.set('textEncoder', manifest.textEncoder);
  return components;
}

/** @throws CheckpointError that lists every field that does not fit. */
export function parseAnyManifest(where: string, text: string): AnyManifest {
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

/** @throws CheckpointError as `parseAnyManifest`, and for a model that makes no pictures. */
export function parseManifest(where: string, text: string): Manifest {
  const manifest = parseAnyManifest(where, text);
  if (manifest.pipeline !== 'ImageClassifier') return manifest;
  throw new CheckpointError(
    `${where}: is an image classifier, which makes no pictures; give a DiT or a PixArt, and this one to "delta-dit metrics --features"`,
  );
}
