import { readText } from '../src/checkpoint/folder.ts';
import { type CheckpointLocation, locate } from '../src/checkpoint/location.ts';
import { MANIFEST_NAME, parseManifest } from '../src/checkpoint/manifest.ts';
import type { DiTCheckpoint } from '../src/models/dit-checkpoint.ts';
import type { PixArtCheckpoint } from '../src/models/pixart-checkpoint.ts';
import { detectModel } from './detect-model.ts';
import { openCheckpointFile } from './formats/detect.ts';
import { readLenientJson } from './formats/lenient-json.ts';
import { type OpenOptions, openDiT } from './open-dit.ts';
import { type OpenPixArtOptions, openPixArt } from './open-pixart.ts';

/** The pipelines that there are, each with a kind of checkpoint. */
export type PipelineName = 'DiTPipeline' | 'PixArtPipeline';

export type OpenedCheckpoint =
  | ({ readonly pipeline: 'DiTPipeline' } & DiTCheckpoint)
  | ({ readonly pipeline: 'PixArtPipeline' } & PixArtCheckpoint);

/** Opens a checkpoint of either pipeline. @throws what `openDiT` and `openPixArt` do. */
export async function openCheckpoint(
  location: CheckpointLocation,
  options: OpenOptions & OpenPixArtOptions = {},
): Promise<OpenedCheckpoint> {
  const pipeline = await pipelineOf(location, options.key);
  if (pipeline === 'PixArtPipeline') return { pipeline, ...(await openPixArt(location, options)) };
  return { pipeline, ...(await openDiT(location, options)) };
}

/**
 * Which pipeline a checkpoint is for: by its manifest, its model_index.json, or the names of its tensors. What is no
 * PixArt is called a DiT, and whatever may be wrong with it, `openDiT` says.
 * @param key where a torch file keeps its weights
 */
export async function pipelineOf(location: CheckpointLocation, key?: string): Promise<PipelineName> {
  const found = await locate(location);
  if (found.kind === 'absent') return 'DiTPipeline';
  if (found.kind === 'file') {
    const archive = await openCheckpointFile(await found.file.open(), key);
    const model = detectModel(archive).kind;
    await archive.close();
    return model === 'pixart' ? 'PixArtPipeline' : 'DiTPipeline';
  }
  const { folder } = found;
  if (await folder.has(MANIFEST_NAME))
    return parseManifest(`${folder.name}/${MANIFEST_NAME}`, await readText(folder, MANIFEST_NAME)).pipeline;
  if (!(await folder.has('model_index.json'))) return 'DiTPipeline';
  const { _class_name: name } = await readLenientJson(folder, 'model_index.json');
  return typeof name === 'string' && name.startsWith('PixArt') ? 'PixArtPipeline' : 'DiTPipeline';
}
