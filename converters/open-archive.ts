import { joinArchives } from '../src/checkpoint/archive.ts';
import { type CheckpointFolder, readText } from '../src/checkpoint/folder.ts';
import type { ManifestComponent } from '../src/checkpoint/manifest.ts';
import { openSafetensors } from '../src/checkpoint/safetensors.ts';
import { openSharded } from '../src/checkpoint/sharded.ts';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../src/errors.ts';
import { openCheckpointFile } from './formats/detect.ts';

/** Tensors, and the paths of the files that hold them. */
export interface OpenedWeights {
  readonly archive: TensorArchive;
  readonly files: readonly string[];
}

/** What diffusers' `save_pretrained` calls the weights of a component, in the order in which it looks for them. */
const WEIGHTS_FILES = [
  'diffusion_pytorch_model.safetensors',
  'diffusion_pytorch_model.fp16.safetensors',
  'diffusion_pytorch_model.bin',
];

/** The weights of one component of a diffusers folder: one file, or shards with an index. */
export async function openComponent(folder: CheckpointFolder): Promise<OpenedWeights> {
  for (const file of WEIGHTS_FILES) {
    const index = `${file}.index.json`;
    if (await folder.has(index)) return openShards(folder, index);
    if (await folder.has(file)) {
      return { archive: await openCheckpointFile(await folder.open(file)), files: [`${folder.name}/${file}`] };
    }
  }
  throw new CheckpointError(`${folder.name}: no weights; expected one of ${WEIGHTS_FILES.join(', ')}`);
}

async function openShards(folder: CheckpointFolder, index: string): Promise<OpenedWeights> {
  const shards = new Set<string>();
  const archive = await openSharded(`${folder.name}/${index}`, await readText(folder, index), async (shard) => {
    shards.add(`${folder.name}/${shard}`);
    return openCheckpointFile(await folder.open(shard));
  });
  return { archive, files: [...shards].sort() };
}

/** The files of one component of a converted folder. @throws CheckpointError when one has not the size of the manifest. */
export async function openFiles(folder: CheckpointFolder, { files }: ManifestComponent): Promise<TensorArchive> {
  const archives: TensorArchive[] = [];
  try {
    for (const { name, bytes } of files) {
      const source = await folder.open(name);
      if (source.size !== bytes) {
        await source.close();
        throw new CheckpointError(
          `${source.name}: expected ${bytes} bytes, got ${source.size}; convert the checkpoint again`,
        );
      }
      archives.push(await openSafetensors(source));
    }
    return joinArchives(folder.name, archives);
  } catch (error) {
    await joinArchives(folder.name, archives).close();
    throw error;
  }
}

/** Runs `work`; when it fails, the archive is closed. */
export async function closingOnError<T>(archive: Pick<TensorArchive, 'close'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await archive.close();
    throw error;
  }
}
