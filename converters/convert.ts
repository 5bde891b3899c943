import { bytesPerElement } from '../src/checkpoint/dtypes.ts';
import { MANIFEST_NAME, type Manifest, type ManifestComponent, parseManifest } from '../src/checkpoint/manifest.ts';
import { writeSafetensors } from '../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor, TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { checkParameters } from '../src/checkpoint/weights.ts';
import { AbortError, OptionError } from '../src/errors.ts';
import { AUTOENCODER_ENCODER, AutoencoderKL } from '../src/models/autoencoder-kl.ts';
import { DiT } from '../src/models/dit.ts';
import type { DiTCheckpoint, SamplingDefaults } from '../src/models/dit-checkpoint.ts';
import { type Numerics, withNumerics } from '../src/models/dit-config.ts';
import { elementCount, type Shape } from '../src/shape.ts';
import { castTensor, type FloatCounts } from './cast.ts';
import type { FolderWriter } from './folder-writer.ts';
import { type OpenOptions, openDiT } from './open-dit.ts';

/** How weights are stored; they are computed with in float32 whatever it is. */
export type StorageType = 'float32' | 'float16' | 'bfloat16';

type Storage = ManifestComponent['dtype'];
const STORED_AS: Readonly<Record<StorageType, Storage>> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' };

/** A shard holds about this much, as Hugging Face's do. */
const SHARD_BYTES = 5e9;

export interface ConvertOptions extends OpenOptions {
  /** A `.pt`, `.pth` or `.safetensors` file, or a diffusers folder. */
  readonly from: string;
  /** The folder to write; it must not exist unless `force`. */
  readonly out: string;
  /** Default float16. */
  readonly dtype?: StorageType | undefined;
  /** Default: by origin. */
  readonly numerics?: Numerics | undefined;
  /** Steps and guidance that the checkpoint suggests. */
  readonly defaults?: Partial<SamplingDefaults> | undefined;
  /** Replace `out` when it exists. */
  readonly force?: boolean | undefined;
  /** Bytes of weights in one file. Default 5 GB. */
  readonly shardBytes?: number | undefined;
  readonly onProgress?: ((progress: ConvertProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ConvertProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** The tensor that was written last. */
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
 * Writes a checkpoint as a folder of safetensors and a manifest: under a temporary name, synced, then renamed, so that
 * `out` is either whole or absent. Checksums of a torch zip are compared first. Needs Node.
 * @throws CheckpointError listing missing, unexpected and wrong-shape tensors; FileError when `out` cannot be written.
 */
export async function convertCheckpoint(options: ConvertOptions): Promise<ConvertResult> {
  const storage = STORED_AS[options.dtype ?? 'float16'];
  if (!storage)
    throw new OptionError(`dtype: expected float32, float16 or bfloat16, got ${JSON.stringify(options.dtype)}`);
  const checkpoint = await openDiT(options.from, options);
  try {
    const numerics = options.numerics ?? checkpoint.numerics;
    const components = checkedComponents(checkpoint, numerics);
    return await writeCheckpoint(checkpoint, components, numerics, storage, options);
  } finally {
    await checkpoint.close();
  }
}

interface Component {
  readonly name: 'transformer' | 'vae';
  readonly config: object;
  readonly tensors: readonly StoredTensor[];
}

/** Every tensor that the models need, in the order in which they build; the encoder's after the decoder's. */
function checkedComponents({ name, transformer, vae }: DiTCheckpoint, numerics: Numerics): readonly Component[] {
  const config = withNumerics(transformer.config, numerics);
  const inOrder = (archive: TensorArchive, parameters: ReadonlyMap<string, Shape>) => {
    checkParameters(
      name,
      parameters,
      new Map([...archive.tensors].filter(([key]) => !AUTOENCODER_ENCODER.test(key)).map(([key, t]) => [key, t.shape])),
    );
    const rest = [...archive.tensors.keys()].filter((key) => !parameters.has(key));
    return [...parameters.keys(), ...rest]
      .map((key) => archive.tensors.get(key))
      .filter((tensor) => tensor !== undefined);
  };
  return [
    { name: 'transformer', config, tensors: inOrder(transformer.archive, DiT.parameterShapes(config)) },
    { name: 'vae', config: vae.config, tensors: inOrder(vae.archive, AutoencoderKL.parameterShapes(vae.config)) },
  ];
}

async function writeCheckpoint(
  checkpoint: DiTCheckpoint,
  components: readonly Component[],
  numerics: Numerics,
  storage: Storage,
  options: ConvertOptions,
): Promise<ConvertResult> {
  const { FolderWriter } = await import('./folder-writer.ts');
  const { describeSources } = await import('./source-files.ts');
  const bytes = components.reduce((sum, { tensors }) => sum + byteCount(tensors, storage), 0);
  const writer = await FolderWriter.create(options.out, { bytes, force: options.force ?? false });
  try {
    await checkpoint.transformer.archive.verify?.();
    await checkpoint.vae.archive.verify?.();
    const counts: FloatCounts = { nonFinite: 0 };
    const onTensor = progressOf(options, bytes);
    const written = new Map<Component['name'], ManifestComponent>();
    for (const component of components)
      written.set(component.name, await writeComponent(writer, component, storage, options, counts, onTensor));
    const manifest = parseManifest(
      MANIFEST_NAME,
      JSON.stringify({
        format: 'delta-dit',
        version: 1,
        pipeline: 'DiTPipeline',
        numerics,
        transformer: written.get('transformer'),
        vae: written.get('vae'),
        scheduler: checkpoint.scheduler,
        labels: checkpoint.labels,
        defaults: { ...checkpoint.defaults, ...options.defaults },
        source: await describeSources(checkpoint.files),
      }),
    );
    await writer.text(MANIFEST_NAME, `${JSON.stringify(manifest, undefined, 2)}\n`);
    await writer.commit();
    const tensors = components.reduce((sum, component) => sum + component.tensors.length, 0);
    return { manifest, tensors, bytes, nonFinite: counts.nonFinite };
  } finally {
    await writer.discard();
  }
}

async function writeComponent(
  writer: FolderWriter,
  { name, config, tensors }: Component,
  storage: Storage,
  { shardBytes = SHARD_BYTES }: ConvertOptions,
  counts: FloatCounts,
  onTensor: (tensor: StoredTensor) => void,
): Promise<ManifestComponent> {
  const shards = intoShards(tensors, storage, shardBytes);
  const files: ManifestComponent['files'] = [];
  for (const [i, shard] of shards.entries()) {
    const number = (n: number) => String(n).padStart(5, '0');
    const file =
      shards.length === 1 ? `${name}.safetensors` : `${name}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    const cast = shard.map((tensor) => notifying(castTensor(tensor, storage, counts), onTensor));
    files.push(await writer.file(file, (write) => writeSafetensors(write, cast)));
  }
  return { config: { ...config }, dtype: storage, files };
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
    read: async () => {
      const bytes = await tensor.read();
      onTensor(tensor);
      return bytes;
    },
  };
}

function progressOf({ onProgress, signal }: ConvertOptions, totalBytes: number): (tensor: StoredTensor) => void {
  let doneBytes = 0;
  return ({ name, shape, dtype }) => {
    if (signal?.aborted) throw new AbortError(`conversion was stopped at ${name}; nothing was kept`);
    doneBytes += elementCount(shape) * bytesPerElement(dtype);
    onProgress?.({ doneBytes, totalBytes, tensor: name });
  };
}
