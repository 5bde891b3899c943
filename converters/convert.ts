import { bytesPerElement, STORED_AS } from '../src/checkpoint/dtypes.ts';
import {
  type ComponentName,
  MANIFEST_NAME,
  type Manifest,
  type ManifestComponent,
  type ManifestFile,
  parseManifest,
} from '../src/checkpoint/manifest.ts';
import { writeSafetensors } from '../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor } from '../src/checkpoint/stored-tensor.ts';
import { AbortError, OptionError } from '../src/errors.ts';
import type { SamplingDefaults } from '../src/models/dit-checkpoint.ts';
import type { Numerics } from '../src/models/dit-config.ts';
import { elementCount } from '../src/shape.ts';
import { besideChecksums } from './beside-checksums.ts';
import { type Casting, castTensor } from './cast.ts';
import { type Conversion, type ConvertedModel, type CopiedFile, openConversion } from './conversion.ts';
import type { FolderWriter } from './folder-writer.ts';
import type { OpenOptions } from './open-dit.ts';
import type { OpenPixArtOptions } from './open-pixart.ts';

/** How weights are stored; they are computed with in float32 whatever it is. */
export type StorageType = keyof typeof STORED_AS;

type Storage = ManifestComponent['dtype'];

/** A shard holds about this much, as Hugging Face's do. */
const SHARD_BYTES = 5e9;

export interface ConvertOptions extends OpenOptions, OpenPixArtOptions {
  /** A `.pt`, `.pth` or `.safetensors` file, or a diffusers folder. */
  readonly from: string;
  /** The folder to write; it must not exist unless `force`. */
  readonly out: string;
  readonly vae?: string | undefined;
  readonly textEncoder?: string | undefined;
  readonly tokenizer?: string | undefined;
  /** Default float16. */
  readonly dtype?: StorageType | undefined;
  /** Default: by origin. */
  readonly numerics?: Numerics | undefined;
  /** Leave the text encoder of a PixArt away, for one whose captions are encoded elsewhere. */
  readonly skipTextEncoder?: boolean | undefined;
  /** Steps and guidance that the checkpoint suggests. */
  readonly defaults?: Partial<SamplingDefaults> | undefined;
  /** Replace `out` when it exists. */
  readonly force?: boolean | undefined;
  /** Bytes of weights in one file. Default 5 GB. */
  readonly shardBytes?: number | undefined;
  readonly onProgress?: ((progress: ConvertProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** In bytes of what is read for its checksum and of what is written, which go on beside each other. */
export interface ConvertProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** The tensor that was converted last. */
  readonly tensor: string;
}

export interface ConvertResult {
  readonly manifest: Manifest;
  readonly tensors: number;
  readonly bytes: number;
  /** NaN and ±Inf in the weights, which are kept as they are. */
  readonly nonFinite: number;
}

/**
 * Writes a checkpoint of a DiT or a PixArt as a folder of safetensors and a manifest, a PixArt with its text encoder and
 * tokenizer: under a temporary name, synced, then renamed, so that `out` is either whole or absent. Tensors pass through
 * memory one at a time. Checksums of a torch zip are compared meanwhile, before `out` appears. Needs Node.
 * @throws CheckpointError listing missing, unexpected and wrong-shape tensors; OptionError when a part is missing that
 * can be given; FileError when `out` cannot be written.
 */
export async function convertCheckpoint(options: ConvertOptions): Promise<ConvertResult> {
  const storage = STORED_AS[options.dtype ?? 'float16'];
  if (!storage)
    throw new OptionError(`dtype: expected float32, float16 or bfloat16, got ${JSON.stringify(options.dtype)}`);
  const conversion = await openConversion(options.from, options);
  try {
    return await writeConversion(conversion, storage, options);
  } finally {
    await conversion.close();
  }
}

async function writeConversion(
  { models, copied, fields, sources }: Conversion,
  storage: Storage,
  options: ConvertOptions,
): Promise<ConvertResult> {
  const { describeSources, sizeOfSources, FolderWriter } = await import('#converters/written-folder');
  const bytes = models.reduce((sum, { tensors }) => sum + byteCount(tensors, storage), 0);
  const progress = new Progress(options, bytes + (await sizeOfSources(sources)));
  const writer = await FolderWriter.create(options.out, { bytes, force: options.force ?? false });
  const checksums = models.flatMap(({ archive }) => archive.checksums ?? []);
  const described = describeSources(sources, checksums, (read) => progress.advance(read));
  try {
    const casting: Casting = { nonFinite: 0 };
    const written = await besideChecksums(described.result, (assertGood) => {
      const onTensor = (tensor: StoredTensor) => {
        assertGood();
        progress.advance(byteCount([tensor], storage), tensor.name);
      };
      return writeModels(writer, models, { storage, casting, onTensor, ...options });
    });
    const manifest = parseManifest(
      MANIFEST_NAME,
      JSON.stringify({
        format: 'delta-dit',
        version: 1,
        ...fields,
        ...written,
        ...(copied ? { tokenizer: await copyFiles(writer, copied) } : {}),
        source: await described.result,
      }),
    );
    await writer.text(MANIFEST_NAME, `${JSON.stringify(manifest, undefined, 2)}\n`);
    await writer.commit();
    const tensors = models.reduce((sum, model) => sum + model.tensors.length, 0);
    return { manifest, tensors, bytes, nonFinite: casting.nonFinite };
  } finally {
    await described.end();
    await writer.discard();
  }
}

/** What a component's files are called. */
const FILE_NAMES: Readonly<Record<ComponentName, string>> = {
  transformer: 'transformer',
  vae: 'vae',
  textEncoder: 'text_encoder',
};

interface Writing {
  readonly storage: Storage;
  readonly shardBytes?: number | undefined;
  readonly casting: Casting;
  readonly onTensor: (tensor: StoredTensor) => void;
}

async function writeModels(
  writer: FolderWriter,
  models: readonly ConvertedModel[],
  writing: Writing,
): Promise<Partial<Record<ComponentName, ManifestComponent>>> {
  const written: Partial<Record<ComponentName, ManifestComponent>> = {};
  for (const model of models) written[model.name] = await writeModel(writer, model, writing);
  return written;
}

async function writeModel(
  writer: FolderWriter,
  { name, config, tensors }: ConvertedModel,
  { storage, shardBytes = SHARD_BYTES, casting, onTensor }: Writing,
): Promise<ManifestComponent> {
  const shards = intoShards(tensors, storage, shardBytes);
  const files: ManifestComponent['files'] = [];
  for (const [i, shard] of shards.entries()) {
    const number = (n: number) => String(n).padStart(5, '0');
    const part = shards.length === 1 ? '' : `-${number(i + 1)}-of-${number(shards.length)}`;
    const cast = shard.map((tensor) => notifying(castTensor(tensor, storage, casting), onTensor));
    const fill = (write: (bytes: Uint8Array) => Promise<void>) =>
      writeSafetensors(write, cast, undefined, writer.allocate);
    files.push(await writer.file(`${FILE_NAMES[name]}${part}.safetensors`, fill));
  }
  return { config: { ...config }, dtype: storage, files };
}

async function copyFiles(writer: FolderWriter, files: readonly CopiedFile[]): Promise<readonly ManifestFile[]> {
  const written: ManifestFile[] = [];
  for (const { folder, name } of files) {
    const source = await folder.open(name);
    try {
      written.push(await writer.file(name, async (write) => write(await source.read(0, source.size))));
    } finally {
      await source.close();
    }
  }
  return written;
}

function intoShards(tensors: readonly StoredTensor[], storage: Storage, shardBytes: number): StoredTensor[][] {
  const shards: StoredTensor[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const bytes = byteCount([tensor], storage);
    if (filled > 0 && filled + bytes > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards[shards.length - 1]?.push(tensor);
    filled += bytes;
  }
  return shards;
}

function byteCount(tensors: readonly StoredTensor[], storage: Storage): number {
  return tensors.reduce((sum, { shape }) => sum + elementCount(shape) * bytesPerElement(storage), 0);
}

function notifying(tensor: StoredTensor, onTensor: (tensor: StoredTensor) => void): StoredTensor {
  return {
    ...tensor,
    read: async (into) => {
      const bytes = await tensor.read(into);
      onTensor(tensor);
      return bytes;
    },
  };
}

class Progress {
  private doneBytes = 0;
  private tensor = '';

  constructor(
    private readonly options: Pick<ConvertOptions, 'onProgress' | 'signal'>,
    private readonly totalBytes: number,
  ) {}

  /** @throws AbortError */
  advance(bytes: number, tensor = this.tensor): void {
    const { onProgress, signal } = this.options;
    if (signal?.aborted) throw new AbortError(`conversion was stopped${tensor && ` at ${tensor}`}; nothing was kept`);
    this.doneBytes += bytes;
    this.tensor = tensor;
    onProgress?.({ doneBytes: this.doneBytes, totalBytes: this.totalBytes, tensor });
  }
}
