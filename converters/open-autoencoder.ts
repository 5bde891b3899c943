import { type CheckpointFolder, readText } from '../src/checkpoint/folder.ts';
import { type CheckpointFile, type CheckpointLocation, locate, locationName } from '../src/checkpoint/location.ts';
import { MANIFEST_NAME, parseManifest } from '../src/checkpoint/manifest.ts';
import type { StoredTensor, TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FileError, OptionError } from '../src/errors.ts';
import type { AutoencoderKLCheckpoint, AutoencoderKLConfig } from '../src/models/autoencoder-config.ts';
import { AutoencoderKL } from '../src/models/autoencoder-kl.ts';
import { parseAutoencoderKLConfig } from '../src/models/parse-config.ts';
import {
  type AutoencoderSizes,
  autoencoderConfigFromDiffusers,
  autoencoderConfigFromShapes,
} from './autoencoder-configs.ts';
import { openCheckpointFile } from './formats/detect.ts';
import { readLenientJson } from './formats/lenient-json.ts';
import { autoencoderKLDiffusers } from './key-maps/autoencoder-kl-diffusers.ts';
import { autoencoderKLLdm, LDM_MARK } from './key-maps/autoencoder-kl-ldm.ts';
import { mapTensors, type Target } from './key-maps/key-map.ts';
import { checkModel } from './model-parameters.ts';
import { closingOnError, openComponent, openFiles } from './open-archive.ts';

export interface AutoencoderOptions extends AutoencoderSizes {
  /** A folder of an AutoencoderKL, one that has `vae/`, a converted one, or a file, for weights that carry none. */
  readonly vae?: CheckpointLocation | undefined;
}

interface OpenedAutoencoder extends AutoencoderKLCheckpoint {
  /** Paths of the files that hold the weights. */
  readonly files: readonly string[];
}

/** What an autoencoder's names begin with: nothing, in a file of Stable Diffusion, in others that hold several models. */
const PREFIXES = ['', 'first_stage_model.', 'vae.'];
/** A tensor that every layout has. */
const MARK = 'decoder.conv_in.weight';

/**
 * An AutoencoderKL: a folder with config.json, a converted folder, or a single file whose sizes are read off its tensors,
 * in the layout of diffusers or of CompVis/latent-diffusion.
 * @param inside the folder to look at where the options name none
 */
export async function openAutoencoder(
  options: AutoencoderOptions,
  inside?: CheckpointFolder,
): Promise<OpenedAutoencoder> {
  const { vae: location } = options;
  if (location === undefined) {
    if (inside) return openFolder(inside, options);
    throw new OptionError('no autoencoder was given; give --vae');
  }
  const found = await locate(location);
  if (found.kind === 'absent')
    throw new FileError(`--vae ${locationName(location)}: no such file or folder; give the path of an autoencoder`);
  return found.kind === 'file' ? openFile(found.file, options) : openFolder(found.folder, options);
}

async function openFolder(given: CheckpointFolder, options: AutoencoderOptions): Promise<OpenedAutoencoder> {
  if (await given.has(MANIFEST_NAME)) return openConverted(given, options);
  const folder = (await given.has('config.json')) ? given : given.at('vae');
  if (!(await folder.has('config.json'))) {
    throw new CheckpointError(
      `${given.name}: expected config.json of an AutoencoderKL in it or in its vae/; give --vae with such a folder, or with a weights file`,
    );
  }
  const json = await readLenientJson(folder, 'config.json');
  const config = autoencoderConfigFromDiffusers(`${folder.name}/config.json`, json, options);
  const { archive, files } = await openComponent(folder);
  return closingOnError(archive, async () => ({ config, files, archive: checked(mapAutoencoder(archive), config) }));
}

async function openConverted(folder: CheckpointFolder, given: AutoencoderSizes): Promise<OpenedAutoencoder> {
  const where = `${folder.name}/${MANIFEST_NAME}`;
  const { vae } = parseManifest(where, await readText(folder, MANIFEST_NAME));
  const stored = parseAutoencoderKLConfig(where, vae.config);
  const config = parseAutoencoderKLConfig(where, {
    ...stored,
    normNumGroups: given.vaeNormGroups ?? stored.normNumGroups,
    scalingFactor: given.vaeScalingFactor ?? stored.scalingFactor,
  });
  const archive = await openFiles(folder, vae);
  return closingOnError(archive, async () => ({
    config,
    files: vae.files.map(({ name }) => `${folder.name}/${name}`),
    archive: checked(archive, config),
  }));
}

async function openFile(file: CheckpointFile, options: AutoencoderOptions): Promise<OpenedAutoencoder> {
  const foreign = await openCheckpointFile(await file.open());
  return closingOnError(foreign, async () => {
    const archive = mapAutoencoder(foreign);
    const config: AutoencoderKLConfig = autoencoderConfigFromShapes(archive, options);
    return { config, files: [file.name], archive: checked(archive, config) };
  });
}

/** Where an autoencoder lies among the tensors of a file, and in whose layout; undefined where there is none. */
export function findAutoencoder(
  archive: TensorArchive,
): { readonly prefix: string; readonly layout: 'diffusers' | 'ldm' } | undefined {
  const prefix = PREFIXES.find((prefix) => archive.tensors.has(`${prefix}${MARK}`));
  if (prefix === undefined) return undefined;
  return { prefix, layout: archive.tensors.has(`${prefix}${LDM_MARK}`) ? 'ldm' : 'diffusers' };
}

/** Names and shapes are compared once the sizes are known, which may be read off the mapped tensors. */
const ANY: Target = { depth: 0, parameters: new Map(), alsoKept: /./ };

/** @throws CheckpointError listing missing, unexpected and wrong-shape tensors of the decoder together. */
function checked(archive: TensorArchive, config: AutoencoderKLConfig): TensorArchive {
  checkModel(archive.name, archive, AutoencoderKL.parameterShapes(config));
  return archive;
}

function mapAutoencoder(archive: TensorArchive): TensorArchive {
  const found = findAutoencoder(archive);
  if (!found) {
    throw new CheckpointError(
      `${archive.name}: holds no AutoencoderKL (${MARK} is missing); see what it holds with "delta-dit inspect"`,
    );
  }
  const alone = found.prefix === '' ? archive : { ...archive, tensors: below(archive, found.prefix) };
  return mapTensors(alone, found.layout === 'ldm' ? autoencoderKLLdm(alone) : autoencoderKLDiffusers(alone), ANY);
}

/** The tensors under a prefix, by the rest of their names. */
function below(archive: TensorArchive, prefix: string): ReadonlyMap<string, StoredTensor> {
  const found = [...archive.tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(found.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
