import { joinArchives } from '../src/checkpoint/archive.ts';
import { type CheckpointFolder, readText } from '../src/checkpoint/folder.ts';
import type { ManifestComponent } from '../src/checkpoint/manifest.ts';
import { openSafetensors } from '../src/checkpoint/safetensors.ts';
import { openSharded } from '../src/checkpoint/sharded.ts';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { DIFFUSERS_WEIGHTS_FILES, findWeights } from '../src/checkpoint/weights-files.ts';
import { CheckpointError } from '../src/errors.ts';
import { openCheckpointFile } from './formats/detect.ts';

/** Tensors, and the paths of the files that hold them. */
export interface OpenedWeights {
  readonly archive: TensorArchive;
  readonly files: readonly string[];
}

/** The weights of one component of a diffusers folder: one file, or shards with an index. */
export async function openComponent(
  folder: CheckpointFolder,
  weightsFiles: readonly string[] = DIFFUSERS_WEIGHTS_FILES,
): Promise<OpenedWeights> {
  const found = await findWeights((file) => folder.has(file), weightsFiles);
  if (found?.isIndex) return openShards(folder, found.file);
  if (found) {
    return {
      archive: await openCheckpointFile(await folder.open(found.file)),
      files: [`${folder.name}/${found.file}`],
    };
  }
  throw new CheckpointError(
    `${folder.name}: no weights; expected one of ${weightsFiles.join(', ')}, or one's .index.json and its shards`,
  );
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

export async function closeAll(...archives: readonly Pick<TensorArchive, 'close'>[]): Promise<void> {
  await Promise.all(archives.map((archive) => archive.close()));
}
