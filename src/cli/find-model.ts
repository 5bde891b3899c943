import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type CheckpointPlaces, checkpointPath, checkpointPaths } from '../hub/checkpoint-path.ts';
import { isHubReference } from '../hub/reference.ts';
import { type DownloadOptions, FileError } from '../index.ts';
import { downloading } from './download-progress.ts';
import { packageFolder } from './package-folder.ts';

export interface FindOptions extends Pick<DownloadOptions, 'part' | 'without'> {
  readonly quiet?: boolean | undefined;
  /** Named in errors. Default --model. */
  readonly flag?: string | undefined;
}

/**
 * The path of a checkpoint: a path as it is, or by name from ./checkpoints or from this package, or a model of the hub,
 * which is downloaded where the cache lacks it.
 * @throws FileError when there is none; as `downloadCheckpoint`
 */
export async function findModel(model: string, { quiet, part, without, flag }: FindOptions = {}): Promise<string> {
  const local = localModel(model);
  if (local !== undefined) return local;
  if (!isHubReference(model)) throw noModel(model, flag);
  return downloading(quiet, (hub) => checkpointPath(model, { ...hub, part, without }));
}

/** The same for a checkpoint and the parts that options name. */
export async function findModelAndParts<T extends CheckpointPlaces & FindOptions>(
  model: string,
  options: T,
): Promise<{ readonly path: string; readonly options: T }> {
  const name = localModel(model) ?? model;
  if (name === model && !existsSync(model) && !isHubReference(model)) throw noModel(model);
  return downloading(options.quiet, async (hub) => {
    const found = await checkpointPaths(name, { ...options, ...hub });
    return { path: found.path, options: { ...options, ...placesOf(found.options) } };
  });
}

function placesOf({ vae, textEncoder, tokenizer }: CheckpointPlaces): CheckpointPlaces {
  const places = { vae, textEncoder, tokenizer };
  return Object.fromEntries(Object.entries(places).filter(([, place]) => place !== undefined));
}

function localModel(model: string): string | undefined {
  return placesOfName(model).find((path) => existsSync(path));
}

function placesOfName(model: string): readonly string[] {
  return [model, join('checkpoints', model), join(packageFolder(), 'checkpoints', model)];
}

function noModel(model: string, flag = '--model'): FileError {
  return new FileError(
    `${flag} ${model}: no such file or folder, and no checkpoint of that name; looked at ${placesOfName(model).join(', ')}`,
  );
}
