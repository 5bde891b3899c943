import { type CheckpointFolder, readCachePlan, readText } from '../src/checkpoint/folder.ts';
import { type CheckpointFile, type CheckpointLocation, locate, locationName } from '../src/checkpoint/location.ts';
import { MANIFEST_NAME, parseManifest } from '../src/checkpoint/manifest.ts';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FileError, OptionError } from '../src/errors.ts';
import { parseAutoencoderKLConfig, parsePixArtConfig } from '../src/models/parse-config.ts';
import { PixArt } from '../src/models/pixart.ts';
import { IS_NULL_CAPTION, NULL_CAPTION, type PixArtCheckpoint } from '../src/models/pixart-checkpoint.ts';
import type { PixArtConfig } from '../src/models/pixart-config.ts';
import { openCheckpointFile } from './formats/detect.ts';
import { readLenientJson } from './formats/lenient-json.ts';
import { type KeyMap, mapTensors } from './key-maps/key-map.ts';
import { pixArtDiffusers } from './key-maps/pixart-diffusers.ts';
import { pixArtOriginal } from './key-maps/pixart-original.ts';
import { closeAll, closingOnError, openComponent, openFiles } from './open-archive.ts';
import { type AutoencoderOptions, openAutoencoder } from './open-autoencoder.ts';
import { findTextParts, type TextOptions } from './open-text.ts';
import {
  ORIGINAL_SCHEDULER,
  type PixArtUnknownSizes,
  pixArtConfigFromDiffusers,
  pixArtConfigFromShapes,
  refuseSigma,
} from './pixart-configs.ts';

export interface OpenPixArtOptions extends PixArtUnknownSizes, AutoencoderOptions, TextOptions {
  /** Where a `.pth` keeps its state dict. Default: `state_dict`; the average of training files is `state_dict_ema`. */
  readonly key?: string | undefined;
}

/**
 * Opens a PixArt-α (256, 512, 1024-MS, LCM) of any layout that is read: a converted folder, a diffusers folder, a `.pth`
 * or `.safetensors` file of PixArt-alpha/PixArt-alpha. A text encoder is looked for and not needed.
 * @throws FileError, FormatError or CheckpointError naming what is wrong with the path, the file, or its tensors;
 * PixArt-Σ is refused by name.
 */
export async function openPixArt(
  location: CheckpointLocation,
  options: OpenPixArtOptions = {},
): Promise<PixArtCheckpoint> {
  const found = await locate(location);
  const name = locationName(location);
  if (found.kind === 'absent') throw new FileError(`${name}: no such file or folder; give the path of a checkpoint`);
  if (found.kind === 'file') return openOriginal(found.file, options);
  const { folder } = found;
  if (await folder.has(MANIFEST_NAME)) return openConvertedPixArt(folder, options);
  if (await folder.has('model_index.json')) return openDiffusers(folder, options);
  throw new CheckpointError(
    `${name}: expected ${MANIFEST_NAME} (a converted checkpoint) or model_index.json (a diffusers folder) in it`,
  );
}

/** A folder that `convertCheckpoint` wrote. */
export async function openConvertedPixArt(
  folder: CheckpointFolder,
  options: TextOptions = {},
): Promise<PixArtCheckpoint> {
  const where = `${folder.name}/${MANIFEST_NAME}`;
  const manifest = parseManifest(where, await readText(folder, MANIFEST_NAME));
  if (manifest.pipeline !== 'PixArtPipeline')
    throw new CheckpointError(`${where}: expected a PixArtPipeline, got a ${manifest.pipeline}; open it as one`);
  const config = parsePixArtConfig(where, manifest.transformer.config);
  const vaeConfig = parseAutoencoderKLConfig(where, manifest.vae.config);
  const text = await findTextParts(options, config.captionChannels, {
    textEncoder: manifest.textEncoder ? folder : undefined,
    tokenizer: manifest.tokenizer.length > 0 ? folder : undefined,
  });
  const cachePlan = await readCachePlan(folder);
  const archive = await openFiles(folder, manifest.transformer);
  const [weights, vae] = await closingOnError(archive, async () => [
    withoutNullCaption(archive, config),
    await openFiles(folder, manifest.vae),
  ]);
  const files = [...manifest.transformer.files, ...manifest.vae.files];
  return {
    name: folder.name,
    numerics: manifest.numerics,
    ...weights,
    vae: { config: vaeConfig, archive: vae },
    ...text,
    scheduler: manifest.scheduler,
    defaults: manifest.defaults,
    cachePlan,
    files: files.map((file) => `${folder.name}/${file.name}`),
    sha256: files.map((file) => file.sha256),
    close: () => closeAll(archive, vae),
  };
}

async function openDiffusers(folder: CheckpointFolder, options: OpenPixArtOptions): Promise<PixArtCheckpoint> {
  const { _class_name: pipeline } = await readLenientJson(folder, 'model_index.json');
  if (pipeline === 'PixArtSigmaPipeline')
    throw new CheckpointError(`${folder.name}: is a PixArtSigmaPipeline; PixArt-Σ is not supported yet, PixArt-α is`);
  if (pipeline !== 'PixArtAlphaPipeline')
    throw new CheckpointError(`${folder.name}: expected a PixArtAlphaPipeline, got ${JSON.stringify(pipeline)}`);
  const part = folder.at('transformer');
  const config = pixArtConfigFromDiffusers(`${part.name}/config.json`, await readLenientJson(part, 'config.json'));
  const schedulerPart = folder.at('scheduler');
  const hasScheduler = await schedulerPart.has('scheduler_config.json');
  const scheduler = hasScheduler ? await readLenientJson(schedulerPart, 'scheduler_config.json') : {};
  const text = await findTextParts(options, config.captionChannels, {
    textEncoder: await folderWith(folder.at('text_encoder'), 'config.json'),
    tokenizer: folder.at('tokenizer'),
  });
  const { archive, files } = await openComponent(part);
  const [weights, vae] = await closingOnError(archive, async () => {
    refuseSigma(archive);
    const mapped = mapPixArt(archive, pixArtDiffusers(config), config);
    return [withoutNullCaption(mapped, config), await openAutoencoder(options, folder.at('vae'))];
  });
  return {
    name: folder.name,
    numerics: 'diffusers',
    ...weights,
    vae,
    ...text,
    scheduler,
    defaults: scheduler._class_name === 'LCMScheduler' ? LCM_DEFAULTS : {},
    files: [...files, ...vae.files],
    sha256: [],
    close: () => closeAll(archive, vae.archive),
  };
}

// A distilled model has its guidance baked in (PixArt-δ, arXiv 2401.05252): asset/docs/pixart_lcm.md.
const LCM_DEFAULTS = { numInferenceSteps: 4, guidanceScale: 0 };

async function openOriginal(file: CheckpointFile, options: OpenPixArtOptions): Promise<PixArtCheckpoint> {
  if (!options.vae) {
    throw new OptionError(
      `${file.name}: a weights file carries no autoencoder; give --vae with a folder or file of one, such as sd-vae-ft-ema`,
    );
  }
  const archive = await openCheckpointFile(await file.open(), options.key);
  return closingOnError(archive, async () => {
    refuseSigma(archive);
    const config = pixArtConfigFromShapes(archive, options);
    const weights = withoutNullCaption(mapPixArt(archive, pixArtOriginal(config), config), config);
    const text = await findTextParts(options, config.captionChannels, {});
    const vae = await openAutoencoder(options);
    return {
      name: file.name,
      numerics: 'original',
      ...weights,
      vae,
      ...text,
      scheduler: ORIGINAL_SCHEDULER,
      defaults: {},
      files: [file.name, ...vae.files],
      sha256: [],
      close: () => closeAll(archive, vae.archive),
    };
  });
}

function mapPixArt(archive: TensorArchive, map: KeyMap, config: PixArtConfig): TensorArchive {
  const parameters = PixArt.parameterShapes(config);
  return mapTensors(archive, map, { depth: config.depth, parameters, alsoKept: IS_NULL_CAPTION });
}

/** The null caption apart, which is no weight of the model. @throws CheckpointError unless it is as wide as a caption. */
function withoutNullCaption(
  archive: TensorArchive,
  config: PixArtConfig,
): Pick<PixArtCheckpoint, 'transformer' | 'nullCaption'> {
  const nullCaption = archive.tensors.get(NULL_CAPTION);
  if (nullCaption && (nullCaption.shape.length !== 2 || nullCaption.shape[1] !== config.captionChannels)) {
    throw new CheckpointError(
      `${archive.name}: ${NULL_CAPTION}: expected [tokens, ${config.captionChannels}], got [${nullCaption.shape.join(', ')}]`,
    );
  }
  const tensors = new Map([...archive.tensors].filter(([name]) => name !== NULL_CAPTION));
  return { transformer: { config, archive: { ...archive, tensors } }, nullCaption };
}

async function folderWith(folder: CheckpointFolder, file: string): Promise<CheckpointFolder | undefined> {
  return (await folder.has(file)) ? folder : undefined;
}
