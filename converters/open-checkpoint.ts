import { readText } from '../src/checkpoint/folder.ts';
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
  path: string,
  options: OpenOptions & OpenPixArtOptions = {},
): Promise<OpenedCheckpoint> {
  const pipeline = await pipelineOf(path, options.key);
  if (pipeline === 'PixArtPipeline') return { pipeline, ...(await openPixArt(path, options)) };
  return { pipeline, ...(await openDiT(path, options)) };
}

/**
 * Which pipeline a checkpoint is for: by its manifest, its model_index.json, or the names of its tensors. What is no
 * PixArt is called a DiT, and whatever may be wrong with it, `openDiT` says.
 * @param key where a torch file keeps its weights
 */
export async function pipelineOf(path: string, key?: string): Promise<PipelineName> {
  const { nodeFolder, pathKind } = await import('../src/checkpoint/node-folder.ts');
  const kind = await pathKind(path);
  if (kind === 'absent') return 'DiTPipeline';
  if (kind === 'file') {
    const { fileSource } = await import('../src/checkpoint/file-source.ts');
    const archive = await openCheckpointFile(await fileSource(path), key);
    const model = detectModel(archive).kind;
    await archive.close();
    return model === 'pixart' ? 'PixArtPipeline' : 'DiTPipeline';
  }
  const folder = nodeFolder(path);
  if (await folder.has(MANIFEST_NAME))
    return parseManifest(`${path}/${MANIFEST_NAME}`, await readText(folder, MANIFEST_NAME)).pipeline;
  if (!(await folder.has('model_index.json'))) return 'DiTPipeline';
  const { _class_name: name } = await readLenientJson(folder, 'model_index.json');
  return typeof name === 'string' && name.startsWith('PixArt') ? 'PixArtPipeline' : 'DiTPipeline';
}
