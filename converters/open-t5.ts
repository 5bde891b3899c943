import { type CheckpointFolder, readText } from '../src/checkpoint/folder.ts';
import { type CheckpointLocation, locate, locationName } from '../src/checkpoint/location.ts';
import { MANIFEST_NAME, parseManifest } from '../src/checkpoint/manifest.ts';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { checkParameters } from '../src/checkpoint/weights.ts';
import { TRANSFORMERS_WEIGHTS_FILES } from '../src/checkpoint/weights-files.ts';
import { CheckpointError, FileError } from '../src/errors.ts';
import type { T5Checkpoint } from '../src/models/t5-checkpoint.ts';
import { parseT5EncoderConfig, type T5EncoderConfig } from '../src/models/t5-config.ts';
import { T5Encoder } from '../src/models/t5-encoder.ts';
import { readLenientJson } from './formats/lenient-json.ts';
import { mapTensors } from './key-maps/key-map.ts';
import { t5Encoder } from './key-maps/t5.ts';
import { closingOnError, openComponent, openFiles } from './open-archive.ts';
import { t5ConfigFromTransformers } from './t5-configs.ts';

/**
 * Opens the encoder of a T5 v1.1: a folder that transformers wrote (a T5EncoderModel or a whole T5; safetensors or .bin,
 * whole or in shards), one that has such a folder as `text_encoder/`, or a converted checkpoint that has one.
 * @throws FileError, FormatError or CheckpointError naming what is wrong with the path, the files, or their tensors; T5
 * v1.0 and quantised weights are refused by name.
 */
export async function openT5(location: CheckpointLocation): Promise<T5Checkpoint> {
  const folder = await folderAt(location);
  if (await folder.has(MANIFEST_NAME)) return openConverted(folder);
  const part = (await folder.has('config.json')) ? folder : folder.at('text_encoder');
  if (await part.has('config.json')) return openTransformers(part);
  throw new CheckpointError(
    `${folder.name}: expected config.json of a T5 v1.1 in it or in its text_encoder/; give such a folder, as t5-v1_1-xxl`,
  );
}

async function folderAt(location: CheckpointLocation): Promise<CheckpointFolder> {
  const found = await locate(location);
  if (found.kind === 'folder') return found.folder;
  throw new FileError(
    `${locationName(location)}: no such folder; give the folder of a text encoder, with its config.json`,
  );
}

async function openTransformers(folder: CheckpointFolder): Promise<T5Checkpoint> {
  const config = t5ConfigFromTransformers(`${folder.name}/config.json`, await readLenientJson(folder, 'config.json'));
  const { archive: foreign, files } = await openComponent(folder, TRANSFORMERS_WEIGHTS_FILES);
  return closingOnError(foreign, async () => {
    const archive = mapT5(foreign, config);
    return { name: folder.name, config, archive, files, sha256: [], close: () => archive.close() };
  });
}

async function openConverted(folder: CheckpointFolder): Promise<T5Checkpoint> {
  const where = `${folder.name}/${MANIFEST_NAME}`;
  const manifest = parseManifest(where, await readText(folder, MANIFEST_NAME));
  const component = manifest.pipeline === 'PixArtPipeline' ? manifest.textEncoder : undefined;
  if (!component) {
    throw new CheckpointError(
      `${where}: this checkpoint has no text encoder; give --text-encoder, or convert it again with one`,
    );
  }
  const config = parseT5EncoderConfig(where, component.config);
  const archive = await openFiles(folder, component);
  return closingOnError(archive, async () => {
    const shapes = new Map([...archive.tensors].map(([name, { shape }]) => [name, shape]));
    checkParameters(where, T5Encoder.parameterShapes(config), shapes);
    return {
      name: folder.name,
      config,
      archive,
      files: component.files.map(({ name }) => `${folder.name}/${name}`),
      sha256: component.files.map(({ sha256 }) => sha256),
      close: () => archive.close(),
    };
  });
}

const FLOAT_TYPES = new Set(['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2']);

function mapT5(archive: TensorArchive, config: T5EncoderConfig): TensorArchive {
  const { name, tensors } = archive;
  if (tensors.has('encoder.block.0.layer.1.DenseReluDense.wi.weight')) {
    throw new CheckpointError(
      `${name}: is a T5 v1.0 (it has wi.weight, not wi_0.weight and wi_1.weight); give a T5 v1.1, as t5-v1_1-xxl`,
    );
  }
  const integers = [...tensors.values()].find(({ dtype }) => !FLOAT_TYPES.has(dtype));
  if (integers) {
    throw new CheckpointError(
      `${name}: ${integers.name}: expected floating-point weights, got ${integers.dtype}; give an encoder that is not quantised`,
    );
  }
  return mapTensors(archive, t5Encoder(archive), {
    depth: config.depth,
    parameters: T5Encoder.parameterShapes(config),
  });
}
