import { type CheckpointFolder, readCachePlan, readText } from '../src/checkpoint/folder.ts';
import {
  type CheckpointFile,
  type CheckpointLocation,
  locate,
  locationName,
  openFile,
} from '../src/checkpoint/location.ts';
import { MANIFEST_NAME, parseManifest } from '../src/checkpoint/manifest.ts';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FileError, FormatError, OptionError } from '../src/errors.ts';
import { DiT } from '../src/models/dit.ts';
import type { DiTCheckpoint } from '../src/models/dit-checkpoint.ts';
import type { DiTConfig } from '../src/models/dit-config.ts';
import { parseAutoencoderKLConfig, parseDiTConfig } from '../src/models/parse-config.ts';
import { ditConfigFromDiffusers, ditConfigFromShapes } from './dit-configs.ts';
import { openCheckpointFile } from './formats/detect.ts';
import { parseLenientJson, readLenientJson } from './formats/lenient-json.ts';
import { DIT_DIFFUSERS } from './key-maps/dit-diffusers.ts';
import { DIT_ORIGINAL } from './key-maps/dit-original.ts';
import { type KeyMap, mapTensors } from './key-maps/key-map.ts';
import { parseLabels } from './labels.ts';
import { closeAll, closingOnError, openComponent, openFiles } from './open-archive.ts';
import { type AutoencoderOptions, openAutoencoder } from './open-autoencoder.ts';
import type { UnknownSizes } from './transformer-configs.ts';

export interface OpenOptions extends UnknownSizes, AutoencoderOptions {
  /** A file of class names: JSON list, JSON id → names, or one a line. */
  readonly labels?: string | undefined;
  /** Where a torch file keeps its state dict. Default: `ema`, then `state_dict`, then `model`, then the file itself. */
  readonly key?: string | undefined;
}

/**
 * Opens a DiT of any layout that is read: a converted folder, a diffusers folder, a `.pt`, `.pth` or `.safetensors`
 * file of facebookresearch/DiT.
 * @throws FileError, FormatError or CheckpointError naming what is wrong with the path, the file, or its tensors.
 */
export async function openDiT(location: CheckpointLocation, options: OpenOptions = {}): Promise<DiTCheckpoint> {
  const found = await locate(location);
  const name = locationName(location);
  if (found.kind === 'absent') throw new FileError(`${name}: no such file or folder; give the path of a checkpoint`);
  if (found.kind === 'file') return withFittingLabels(await openOriginal(found.file, options));
  const { folder } = found;
  if (await folder.has(MANIFEST_NAME)) {
    const converted = await openConverted(folder);
    const labels = options.labels
      ? await closingOnError(converted, () => readLabels(options.labels ?? ''))
      : converted.labels;
    return withFittingLabels({ ...converted, labels });
  }
  if (await folder.has('model_index.json')) return withFittingLabels(await openDiffusers(folder, options));
  throw new CheckpointError(
    `${name}: expected ${MANIFEST_NAME} (a converted checkpoint) or model_index.json (a diffusers folder) in it`,
  );
}

/** A folder that `convertCheckpoint` wrote. */
export async function openConverted(folder: CheckpointFolder): Promise<DiTCheckpoint> {
  const where = `${folder.name}/${MANIFEST_NAME}`;
  const manifest = parseManifest(where, await readText(folder, MANIFEST_NAME));
  if (manifest.pipeline !== 'DiTPipeline')
    throw new CheckpointError(`${where}: expected a DiTPipeline, got a ${manifest.pipeline}; open it as one`);
  const files = [...manifest.transformer.files, ...manifest.vae.files];
  const config = parseDiTConfig(where, manifest.transformer.config);
  const cachePlan = await readCachePlan(folder);
  const vaeConfig = parseAutoencoderKLConfig(where, manifest.vae.config);
  const transformer = await openFiles(folder, manifest.transformer);
  const vae = await closingOnError(transformer, () => openFiles(folder, manifest.vae));
  return {
    name: folder.name,
    numerics: manifest.numerics,
    transformer: { config, archive: transformer },
    vae: { config: vaeConfig, archive: vae },
    scheduler: manifest.scheduler,
    labels: manifest.labels,
    defaults: manifest.defaults,
    cachePlan,
    files: files.map((file) => `${folder.name}/${file.name}`),
    sha256: files.map((file) => file.sha256),
    close: () => closeAll(transformer, vae),
  };
}

async function openDiffusers(folder: CheckpointFolder, options: OpenOptions): Promise<DiTCheckpoint> {
  const index = await readLenientJson(folder, 'model_index.json');
  const pipeline = index._class_name;
  if (pipeline !== 'DiTPipeline')
    throw new CheckpointError(`${folder.name}: expected a DiTPipeline, got ${JSON.stringify(pipeline)}`);
  const part = folder.at('transformer');
  const config = ditConfigFromDiffusers(`${part.name}/config.json`, await readLenientJson(part, 'config.json'));
  const schedulerPart = folder.at('scheduler');
  const hasScheduler = await schedulerPart.has('scheduler_config.json');
  const scheduler = hasScheduler ? await readLenientJson(schedulerPart, 'scheduler_config.json') : {};
  const labels = options.labels ? await readLabels(options.labels) : parseLabels(folder.name, index.id2label ?? []);
  const { archive: foreign, files } = await openComponent(part);
  const transformer = await closingOnError(foreign, async () => mapDiT(foreign, DIT_DIFFUSERS, config));
  const vae = await closingOnError(transformer, () => openAutoencoder(options, folder.at('vae')));
  return {
    name: folder.name,
    numerics: 'diffusers',
    transformer: { config, archive: transformer },
    vae,
    scheduler,
    labels,
    defaults: {},
    files: [...files, ...vae.files],
    sha256: [],
    close: () => closeAll(transformer, vae.archive),
  };
}

async function openOriginal(file: CheckpointFile, options: OpenOptions): Promise<DiTCheckpoint> {
  if (!options.vae) {
    throw new OptionError(
      `${file.name}: a weights file carries no autoencoder; give --vae with a folder or file of one, such as sd-vae-ft-ema`,
    );
  }
  const foreign = await openCheckpointFile(await file.open(), options.key);
  return closingOnError(foreign, async () => {
    const config = ditConfigFromShapes(foreign, options);
    const transformer = mapDiT(foreign, DIT_ORIGINAL, config);
    const labels = options.labels ? await readLabels(options.labels) : [];
    const vae = await openAutoencoder(options);
    return {
      name: file.name,
      numerics: 'original',
      transformer: { config, archive: transformer },
      vae,
      scheduler: {},
      labels,
      defaults: {},
      files: [file.name, ...vae.files],
      sha256: [],
      close: () => closeAll(transformer, vae.archive),
    };
  });
}

function mapDiT(archive: TensorArchive, map: KeyMap, config: DiTConfig): TensorArchive {
  return mapTensors(archive, map, { depth: config.depth, parameters: DiT.parameterShapes(config) });
}

/** A list of a thousand names is some kilobytes. */
const MAX_LABEL_BYTES = 2 ** 20;

async function readLabels(path: string): Promise<readonly string[]> {
  const source = await openFile(path);
  try {
    if (source.size > MAX_LABEL_BYTES)
      throw new FormatError(`${path}: ${source.size} bytes are too many for class names`);
    const text = new TextDecoder().decode(await source.read(0, source.size));
    const isJson = /^\s*[[{]/.test(text);
    return parseLabels(path, isJson ? parseLenientJson(path, text) : text.split(/\r?\n/).filter((line) => line !== ''));
  } finally {
    await source.close();
  }
}

/** @throws CheckpointError when class names were found for another number of classes. */
async function withFittingLabels(checkpoint: DiTCheckpoint): Promise<DiTCheckpoint> {
  const { labels, transformer } = checkpoint;
  if (labels.length === 0 || labels.length === transformer.config.numClasses) return checkpoint;
  await checkpoint.close();
  throw new CheckpointError(
    `${checkpoint.name}: expected names for ${transformer.config.numClasses} classes, got ${labels.length}; give --labels of this model`,
  );
}
