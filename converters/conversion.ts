import type { CheckpointFolder } from '../src/checkpoint/folder.ts';
import type { ComponentName } from '../src/checkpoint/manifest.ts';
import type { StoredTensor, TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { OptionError } from '../src/errors.ts';
import { AUTOENCODER_ENCODER } from '../src/models/autoencoder-config.ts';
import { AutoencoderKL } from '../src/models/autoencoder-kl.ts';
import { DiT } from '../src/models/dit.ts';
import type { DiTCheckpoint, SamplingDefaults } from '../src/models/dit-checkpoint.ts';
import { type Numerics, withNumerics } from '../src/models/dit-config.ts';
import { PixArt } from '../src/models/pixart.ts';
import type { PixArtCheckpoint } from '../src/models/pixart-checkpoint.ts';
import { withPixArtNumerics } from '../src/models/pixart-config.ts';
import type { T5Checkpoint } from '../src/models/t5-checkpoint.ts';
import { T5Encoder } from '../src/models/t5-encoder.ts';
import type { Shape } from '../src/shape.ts';
import { checkModel, NONE_OPTIONAL } from './model-parameters.ts';
import { closeAll, closingOnError } from './open-archive.ts';
import { type OpenedCheckpoint, openCheckpoint } from './open-checkpoint.ts';
import type { OpenOptions } from './open-dit.ts';
import type { OpenPixArtOptions } from './open-pixart.ts';
import { tokenizerFiles } from './open-text.ts';

/** A model that goes into a converted folder. */
export interface ConvertedModel {
  readonly name: ComponentName;
  readonly config: object;
  readonly archive: TensorArchive;
  /** Those that the model needs, in the order in which it is built; then the others, by name. */
  readonly tensors: readonly StoredTensor[];
}

/** A file that goes into it as it is. */
export interface CopiedFile {
  readonly folder: CheckpointFolder;
  readonly name: string;
}

/** Everything that goes into a converted folder, checked and not yet read. */
export interface Conversion {
  readonly models: readonly ConvertedModel[];
  /** Of the tokenizer, where the pipeline has one. */
  readonly copied: readonly CopiedFile[] | undefined;
  /** What the manifest says besides the files. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Paths of the files that are read. */
  readonly sources: readonly string[];
  close(): Promise<void>;
}

export interface ConversionOptions extends OpenOptions, OpenPixArtOptions {
  readonly numerics?: Numerics | undefined;
  readonly skipTextEncoder?: boolean | undefined;
  readonly defaults?: Partial<SamplingDefaults> | undefined;
}

/** Opens a checkpoint of either pipeline for conversion. @throws as `convertCheckpoint`, before anything is written. */
export async function openConversion(path: string, options: ConversionOptions): Promise<Conversion> {
  if (options.skipTextEncoder && options.textEncoder !== undefined)
    throw new OptionError('--text-encoder and --skip-text-encoder exclude each other; give one');
  const checkpoint = await openCheckpoint(path, options);
  return closingOnError(checkpoint, async () => {
    assertFitting(checkpoint, options);
    return checkpoint.pipeline === 'PixArtPipeline'
      ? pixArtConversion(checkpoint, options)
      : ditConversion(checkpoint, options);
  });
}

/** What is given for one pipeline and means nothing for the other. */
const ONLY_FOR: Readonly<Record<OpenedCheckpoint['pipeline'], readonly (keyof ConversionOptions)[]>> = {
  DiTPipeline: ['labels'],
  PixArtPipeline: ['textEncoder', 'tokenizer', 'skipTextEncoder', 'interpolationScale'],
};

/** @throws OptionError rather than leave aside what was asked for. */
function assertFitting({ name, pipeline }: OpenedCheckpoint, options: ConversionOptions): void {
  const [what, foreign] =
    pipeline === 'DiTPipeline' ? ['a DiT', ONLY_FOR.PixArtPipeline] : ['a PixArt-α', ONLY_FOR.DiTPipeline];
  const odd = foreign.find((option) => options[option] !== undefined);
  if (odd !== undefined) throw new OptionError(`${name}: is ${what}, for which ${odd} means nothing; leave it away`);
}

async function ditConversion(checkpoint: DiTCheckpoint, options: ConversionOptions): Promise<Conversion> {
  const { name, transformer, vae, labels } = checkpoint;
  const numerics = options.numerics ?? checkpoint.numerics;
  const config = withNumerics(transformer.config, numerics);
  return {
    models: [
      model(name, 'transformer', config, transformer.archive, DiT.parameterShapes(config)),
      model(name, 'vae', vae.config, vae.archive, AutoencoderKL.parameterShapes(vae.config)),
    ],
    copied: undefined,
    fields: { pipeline: 'DiTPipeline', ...commonFields(checkpoint, options), labels },
    sources: checkpoint.files,
    close: () => checkpoint.close(),
  };
}

async function pixArtConversion(checkpoint: PixArtCheckpoint, options: ConversionOptions): Promise<Conversion> {
  const { name, transformer, nullCaption, vae } = checkpoint;
  const config = withPixArtNumerics(transformer.config, options.numerics ?? checkpoint.numerics);
  const text = options.skipTextEncoder ? undefined : await openTextEncoder(checkpoint);
  return closingOnError({ close: async () => text?.close() }, async () => {
    const copied = await tokenizerOf(checkpoint, options);
    const weights = model(name, 'transformer', config, transformer.archive, PixArt.parameterShapes(config));
    return {
      models: [
        { ...weights, tensors: nullCaption ? [...weights.tensors, nullCaption] : weights.tensors },
        model(name, 'vae', vae.config, vae.archive, AutoencoderKL.parameterShapes(vae.config)),
        ...(text
          ? [model(text.name, 'textEncoder', text.config, text.archive, T5Encoder.parameterShapes(text.config))]
          : []),
      ],
      copied,
      fields: { pipeline: 'PixArtPipeline', ...commonFields(checkpoint, options) },
      sources: [
        ...checkpoint.files,
        ...(text?.files ?? []),
        ...copied.map(({ folder, name }) => `${folder.name}/${name}`),
      ],
      close: () => closeAll(checkpoint, ...(text ? [text] : [])),
    };
  });
}

function commonFields(checkpoint: DiTCheckpoint | PixArtCheckpoint, options: ConversionOptions) {
  const { numerics, scheduler, defaults } = checkpoint;
  return { numerics: options.numerics ?? numerics, scheduler, defaults: { ...defaults, ...options.defaults } };
}

function model(
  where: string,
  name: ComponentName,
  config: object,
  archive: TensorArchive,
  parameters: ReadonlyMap<string, Shape>,
): ConvertedModel {
  checkModel(where, archive, parameters, name === 'vae' ? AUTOENCODER_ENCODER : NONE_OPTIONAL);
  const rest = [...archive.tensors.keys()].filter((key) => !parameters.has(key)).sort();
  const tensors = [...parameters.keys(), ...rest]
    .map((key) => archive.tensors.get(key))
    .filter((tensor) => tensor !== undefined);
  return { name, config, archive, tensors };
}

function openTextEncoder({ name, openTextEncoder }: PixArtCheckpoint): Promise<T5Checkpoint> {
  if (openTextEncoder) return openTextEncoder();
  throw new OptionError(
    `${name}: carries no text encoder; give --text-encoder with a folder of T5 v1.1 (t5-v1_1-xxl for PixArt-α), or ` +
      '--skip-text-encoder to go without, with captions that were encoded elsewhere',
  );
}

async function tokenizerOf(
  { name, tokenizer: folder }: PixArtCheckpoint,
  { skipTextEncoder }: ConversionOptions,
): Promise<readonly CopiedFile[]> {
  if (folder) return (await tokenizerFiles(folder)).map((file) => ({ folder, name: file }));
  if (skipTextEncoder) return [];
  throw new OptionError(
    `${name}: carries no tokenizer; give --tokenizer with a folder that has spiece.model or tokenizer.json`,
  );
}
