import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { detectModel } from '../../../converters/detect-model.ts';
import { type OpenedCheckpoint, openCheckpoint } from '../../../converters/open-checkpoint.ts';
import { isClassifier, openClassifier } from '../../../converters/open-classifier.ts';
import { MANIFEST_NAME } from '../../checkpoint/manifest.ts';
import { nodeFolder } from '../../checkpoint/node-folder.ts';
import type { TensorArchive } from '../../checkpoint/stored-tensor.ts';
import { DeltaDiTError } from '../../errors.ts';
import { peakBytes } from '../../models/memory.ts';
import { checkpointMemory } from '../../pipelines/checkpoint-memory.ts';
import { type Finding, OK } from './finding.ts';

/**
 * A checkpoint in one of the folders where names are looked for. Sizes and headers of its files are compared with its
 * manifest; their checksums are not, which is what `delta-dit verify` does.
 */
export interface CheckpointCheck extends Finding {
  readonly name: string;
  readonly folder: string;
  readonly layout: 'converted' | 'diffusers' | 'none';
  /** "DiT-XL/2 (depth 28, width 1152, patch 2), converted", of one that can be opened, as all below. */
  readonly model?: string;
  /** How its weights are stored: F32, F16, BF16. */
  readonly dtypes?: readonly string[];
  /** Of its weights on disk, the text encoder's included. */
  readonly bytes?: number;
  /** Estimate of what one guided picture takes, as `delta-dit generate` makes it; not of a model that makes none. */
  readonly memoryBytes?: number;
}

/** @param memory bytes that a run may take, of the machine and of the backend that it would get */
export async function checkCheckpoints(
  folders: readonly string[],
  memory: readonly MemoryLimit[],
): Promise<CheckpointCheck[]> {
  const checks = new Map<string, CheckpointCheck>();
  for (const parent of folders) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    for (const { name } of entries.filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))) {
      const folder = join(parent, name);
      const path = await realpath(folder).catch(() => folder);
      if (!checks.has(path)) checks.set(path, await checkCheckpoint(name, folder, memory));
    }
  }
  return [...checks.values()];
}

/** Memory that is there, and what ends there, for the sentence. */
export interface MemoryLimit {
  readonly bytes: number;
  readonly reason: string;
}

async function checkCheckpoint(name: string, folder: string, limits: readonly MemoryLimit[]): Promise<CheckpointCheck> {
  const files = nodeFolder(folder);
  const isConverted = await files.has(MANIFEST_NAME);
  const layout = isConverted ? 'converted' : (await files.has('model_index.json')) ? 'diffusers' : 'none';
  const about = { name, folder, layout } as const;
  if (layout === 'none') {
    return { ...about, status: 'absent', problem: `holds neither ${MANIFEST_NAME} nor model_index.json` };
  }
  try {
    if (isConverted && (await isClassifier(files))) return { ...about, ...(await describeClassifier(folder)), ...OK };
    const checkpoint = await openCheckpoint(folder);
    try {
      const described = await describe(checkpoint);
      return { ...about, ...described, ...verdict(checkpoint, described.memoryBytes, limits) };
    } finally {
      await checkpoint.close();
    }
  } catch (error) {
    if (!(error instanceof DeltaDiTError)) throw error;
    const fix = isConverted ? 'Convert or copy the checkpoint again.' : 'Download or copy the checkpoint again.';
    return { ...about, status: 'failed', problem: error.message, fix };
  }
}

async function describe(checkpoint: OpenedCheckpoint) {
  const { transformer, vae, files } = checkpoint;
  const textEncoder = checkpoint.pipeline === 'PixArtPipeline' ? await checkpoint.openTextEncoder?.() : undefined;
  await textEncoder?.close(); // its names and sizes stay
  const archives: [TensorArchive, ...TensorArchive[]] = [
    transformer.archive,
    vae.archive,
    ...(textEncoder ? [textEncoder.archive] : []),
  ];
  const stored = await describeStored(archives, [...files, ...(textEncoder?.files ?? [])]);
  const memoryOf = await checkpointMemory(checkpoint);
  return { ...stored, memoryBytes: peakBytes(memoryOf({ pictures: 1, guided: true })) };
}

async function describeClassifier(folder: string) {
  const { archive, files, close } = await openClassifier(folder);
  return describeStored([archive], files).finally(close);
}

/** @param archives of which the first tells the model */
async function describeStored(archives: readonly [TensorArchive, ...TensorArchive[]], files: readonly string[]) {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const tensors = archives.flatMap((archive) => [...archive.tensors.values()]);
  return {
    model: detectModel(archives[0]).description,
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))].sort(),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

function verdict(checkpoint: OpenedCheckpoint, memoryBytes: number, limits: readonly MemoryLimit[]): Finding {
  const limit = limits.find(({ bytes }) => memoryBytes > bytes);
  if (limit) {
    const problem = `one picture takes about ${gigabytes(memoryBytes)} of memory, and ${gigabytes(limit.bytes)} ${limit.reason}`;
    return { status: 'warning', problem, fix: 'Use the backend tensorflow on a machine with enough memory.' };
  }
  const missing = missingTextParts(checkpoint);
  if (missing.length === 0) return OK;
  return {
    status: 'warning',
    problem: `has no ${missing.join(' and no ')}, so that it takes encoded prompts alone (--embeds)`,
    fix: 'Give them with --text-encoder and --tokenizer, or convert the checkpoint with them.',
  };
}

/** Of a PixArt, what it would need to read prompts. */
function missingTextParts(checkpoint: OpenedCheckpoint): string[] {
  if (checkpoint.pipeline === 'DiTPipeline') return [];
  const { openTextEncoder, tokenizer } = checkpoint;
  return [...(openTextEncoder ? [] : ['text encoder']), ...(tokenizer ? [] : ['tokenizer'])];
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
