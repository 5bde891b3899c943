import { type CheckpointFolder, readText } from '../src/checkpoint/folder.ts';
import { type CheckpointLocation, locate, locationName } from '../src/checkpoint/location.ts';
import { MANIFEST_NAME, parseAnyManifest } from '../src/checkpoint/manifest.ts';
import { checkParameters } from '../src/checkpoint/weights.ts';
import { CheckpointError, FileError } from '../src/errors.ts';
import { ImageClassifier } from '../src/models/image-classifier.ts';
import type { ImageClassifierCheckpoint } from '../src/models/image-classifier-checkpoint.ts';
import { parseImageClassifierConfig } from '../src/models/image-classifier-config.ts';
import { closingOnError, openFiles } from './open-archive.ts';

/**
 * Opens an image classifier: a folder in the converted layout, as checkpoints/emoji-classifier is.
 * @throws FileError or CheckpointError naming what is wrong with the path, the manifest, or the tensors.
 */
export async function openClassifier(location: CheckpointLocation): Promise<ImageClassifierCheckpoint> {
  const path = locationName(location);
  const found = await locate(location);
  if (found.kind !== 'folder')
    throw new FileError(`${path}: no such folder; give the folder of an image classifier, as emoji-classifier`);
  const { folder } = found;
  if (!(await folder.has(MANIFEST_NAME)))
    throw new CheckpointError(`${path}: has no ${MANIFEST_NAME}; give a folder like checkpoints/emoji-classifier`);
  const where = `${path}/${MANIFEST_NAME}`;
  const manifest = parseAnyManifest(where, await readText(folder, MANIFEST_NAME));
  if (manifest.pipeline !== 'ImageClassifier')
    throw new CheckpointError(
      `${where}: expected an ImageClassifier, got a ${manifest.pipeline}, which makes pictures; give a classifier, as emoji-classifier`,
    );
  const { classifier: component, labels } = manifest;
  const config = parseImageClassifierConfig(where, component.config);
  if (labels.length !== config.numLabels)
    throw new CheckpointError(`${where}: expected ${config.numLabels} labels, got ${labels.length}`);
  const archive = await openFiles(folder, component);
  return closingOnError(archive, async () => {
    const shapes = new Map([...archive.tensors].map(([name, { shape }]) => [name, shape]));
    checkParameters(where, ImageClassifier.parameterShapes(config), shapes);
    const files = component.files.map(({ name }) => `${path}/${name}`);
    const sha256 = component.files.map((file) => file.sha256);
    return { name: path, config, archive, labels, files, sha256, close: () => archive.close() };
  });
}

/** Whether a converted folder holds a classifier. @throws CheckpointError for a manifest that is none */
export async function isClassifier(folder: CheckpointFolder): Promise<boolean> {
  const text = await readText(folder, MANIFEST_NAME);
  return parseAnyManifest(`${folder.name}/${MANIFEST_NAME}`, text).pipeline === 'ImageClassifier';
}
