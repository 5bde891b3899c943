import { z } from 'zod';
import { CheckpointError } from '../errors.ts';

/** The file that makes a folder a converted checkpoint. */
export const MANIFEST_NAME = 'manifest.json';

const FILE = z.object({
  name: z.string().regex(/^[\w.-]+\.safetensors$/, 'expected a plain .safetensors file name'),
  bytes: z.number().int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const COMPONENT = z.object({
  config: z.record(z.string(), z.unknown()),
  dtype: z.enum(['F32', 'F16', 'BF16']),
  files: z.array(FILE).min(1).max(10_000),
});

const MANIFEST = z.object({
  format: z.literal('delta-dit'),
  version: z.literal(1),
  pipeline: z.literal('DiTPipeline'),
  numerics: z.enum(['original', 'diffusers']),
  transformer: COMPONENT,
  vae: COMPONENT,
  scheduler: z.record(z.string(), z.unknown()),
  labels: z.array(z.string()),
  defaults: z.object({
    numInferenceSteps: z.number().int().positive().optional(),
    guidanceScale: z.number().optional(),
  }),
  /** What it was converted from. */
  source: z.array(z.object({ name: z.string(), bytes: z.number().int(), sha256: z.string() })),
});

/** One safetensors file of a component. */
export type ManifestFile = z.infer<typeof FILE>;
/** A model of the checkpoint: its configuration, storage type and files. */
export type ManifestComponent = z.infer<typeof COMPONENT>;
/** Everything that a converted checkpoint says of itself. */
export type Manifest = z.infer<typeof MANIFEST>;

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
