import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { withWeights } from '../../checkpoint/archive.ts';
import { fileSource } from '../../checkpoint/file-source.ts';
import { openSafetensors } from '../../checkpoint/safetensors.ts';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { DiT, DiTPipeline, type OpenedCheckpoint, openCheckpoint, PixArt, PixArtPipeline } from '../../index.ts';
import { benchLoad, type LoadSubject } from '../../lab/bench-load.ts';
import { benchCheckpoint } from '../../lab/bench-sizes.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { withInterrupt } from '../interrupt.ts';
import { checkMemory, memoryLimits, weightCopies } from '../memory-check.ts';
import { modelPath, startBackend } from '../model-options.ts';
import { loadTable } from '../speed-tables.ts';
import { checkRounds, type SizedOptions, withSizeOptions } from './bench-speed.ts';

interface LoadCliOptions extends SizedOptions {
  readonly checkpoint?: string;
}

export function loadCommand(): Command {
  const command = new Command('load').description(
    'time loading a checkpoint against reading its bytes, and its memory',
  );
  return withSizeOptions(command, 3)
    .option('--checkpoint <path>', 'file, folder or name of one (default: random weights of the size, in a file)')
    .action((options: LoadCliOptions) => withInterrupt((signal) => load(options, signal)));
}

async function load(options: LoadCliOptions, signal: AbortSignal): Promise<void> {
  checkRounds(options);
  const { checkpoint, size, rounds, json } = options;
  const random = checkpoint === undefined ? benchCheckpoint(size) : undefined;
  const backend = await startBackend(options);
  const opened = random ?? (await openCheckpoint(modelPath(checkpoint ?? '')));
  const folder = await mkdtemp(join(tmpdir(), 'delta-dit-bench-'));
  try {
    await checkMemory(opened, { pictures: 1, guided: true }, memoryLimits(backend), weightCopies(backend));
    const subject = random ? await randomSubject(random, folder) : pipelineSubject(opened);
    const report = await benchLoad(subject, rounds, signal);
    const environment = await benchEnvironment();
    const name = checkpoint ?? `transformer of ${size} with random weights`;
    if (json) console.log(JSON.stringify({ name, ...report, environment }, null, 1));
    else console.log(`${loadTable(report, name)}\n\n${environmentLine(environment)}`);
  } finally {
    await opened.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** All that a pipeline holds. */
function pipelineSubject(opened: OpenedCheckpoint): LoadSubject {
  const load = () =>
    opened.pipeline === 'DiTPipeline' ? DiTPipeline.fromCheckpoint(opened) : PixArtPipeline.fromCheckpoint(opened);
  return { files: opened.files, load };
}

/** The transformer alone, written to a file of float32. */
async function randomSubject(checkpoint: OpenedCheckpoint, folder: string): Promise<LoadSubject> {
  const path = join(folder, 'transformer.safetensors');
  const file = await open(path, 'w');
  try {
    const write = async (bytes: Uint8Array) => {
      await file.writeFile(bytes); // goes on where the last piece ended
    };
    await writeSafetensors(write, [...checkpoint.transformer.archive.tensors.values()]);
  } finally {
    await file.close();
  }
  return { files: [path], load: () => loadTransformer(checkpoint, path) };
}

async function loadTransformer({ pipeline, transformer }: OpenedCheckpoint, path: string): Promise<DiT | PixArt> {
  const archive = await openSafetensors(await fileSource(path));
  try {
    return pipeline === 'DiTPipeline'
      ? await withWeights(archive, (weights) => DiT.fromWeights(transformer.config, weights))
      : await withWeights(archive, (weights) => PixArt.fromWeights(transformer.config, weights));
  } finally {
    await archive.close();
  }
}
