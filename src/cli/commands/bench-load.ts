import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { castTensor } from '../../../converters/cast.ts';
import { withWeights } from '../../checkpoint/archive.ts';
import { STORED_AS } from '../../checkpoint/dtypes.ts';
import { fileSource } from '../../checkpoint/file-source.ts';
import { openSafetensors } from '../../checkpoint/safetensors.ts';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import {
  DiT,
  DiTPipeline,
  type OpenedCheckpoint,
  openCheckpoint,
  PixArt,
  PixArtPipeline,
  type StorageType,
  type WeightDtype,
} from '../../index.ts';
import { benchLoad, type LoadSubject } from '../../lab/bench-load.ts';
import { benchCheckpoint } from '../../lab/bench-sizes.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { findModel } from '../find-model.ts';
import { withInterrupt } from '../interrupt.ts';
import { checkMemory, memoryLimits, weightCopies } from '../memory-check.ts';
import { startBackend } from '../model-options.ts';
import { loadTable } from '../speed-tables.ts';
import { checkRounds, type SizedOptions, withSizeOptions } from './bench-speed.ts';

interface LoadCliOptions extends SizedOptions {
  readonly checkpoint?: string;
  readonly stored: StorageType;
}

export function loadCommand(): Command {
  const command = new Command('load').description(
    'time loading a checkpoint against reading its bytes, and its memory',
  );
  return withSizeOptions(command, 3)
    .option('--checkpoint <path>', 'file, folder or name of one (default: random weights of the size, in a file)')
    .addOption(
      new Option('--stored <type>', 'of random weights, in the file')
        .choices(['float32', 'float16', 'bfloat16'])
        .default('float32'),
    )
    .action((options: LoadCliOptions) => withInterrupt((signal) => load(options, signal)));
}

async function load(options: LoadCliOptions, signal: AbortSignal): Promise<void> {
  checkRounds(options);
  const { checkpoint, size, rounds, json, dtype = 'float32', stored } = options;
  const random = checkpoint === undefined ? benchCheckpoint(size) : undefined;
  const backend = await startBackend(options);
  const opened = random ?? (await openCheckpoint(await findModel(checkpoint ?? '')));
  const folder = await mkdtemp(join(tmpdir(), 'delta-dit-bench-'));
  try {
    await checkMemory(opened, { pictures: 1, guided: true, dtype }, memoryLimits(backend), weightCopies(backend));
    const subject = random ? await randomSubject(random, folder, stored, dtype) : pipelineSubject(opened, dtype);
    const report = await benchLoad(subject, rounds, signal);
    const environment = await benchEnvironment();
    const name = `${checkpoint ?? `transformer of ${size} with random weights in ${stored}`}, held in ${dtype}`;
    if (json) console.log(JSON.stringify({ name, ...report, environment }, null, 1));
    else console.log(`${loadTable(report, name)}\n\n${environmentLine(environment)}`);
  } finally {
    await opened.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** All that a pipeline holds. */
function pipelineSubject(opened: OpenedCheckpoint, dtype: WeightDtype): LoadSubject {
  const load = () =>
    opened.pipeline === 'DiTPipeline'
      ? DiTPipeline.fromCheckpoint(opened, { dtype })
      : PixArtPipeline.fromCheckpoint(opened, { dtype });
  return { files: opened.files, load };
}

/** The transformer alone, written to a file. */
async function randomSubject(
  checkpoint: OpenedCheckpoint,
  folder: string,
  stored: StorageType,
  dtype: WeightDtype,
): Promise<LoadSubject> {
  const path = join(folder, 'transformer.safetensors');
  const file = await open(path, 'w');
  try {
    const write = async (bytes: Uint8Array) => {
      await file.writeFile(bytes); // goes on where the last piece ended
    };
    const tensors = [...checkpoint.transformer.archive.tensors.values()];
    await writeSafetensors(
      write,
      tensors.map((tensor) => castTensor(tensor, STORED_AS[stored], { nonFinite: 0 })),
    );
  } finally {
    await file.close();
  }
  return { files: [path], load: () => loadTransformer(checkpoint, path, dtype) };
}

async function loadTransformer(
  { pipeline, transformer }: OpenedCheckpoint,
  path: string,
  dtype: WeightDtype,
): Promise<DiT | PixArt> {
  const archive = await openSafetensors(await fileSource(path));
  try {
    return pipeline === 'DiTPipeline'
      ? await withWeights(archive, (weights) => DiT.fromWeights(transformer.config, weights), dtype)
      : await withWeights(archive, (weights) => PixArt.fromWeights(transformer.config, weights), dtype);
  } finally {
    await archive.close();
  }
}
