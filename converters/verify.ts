import { joinArchives } from '../src/checkpoint/archive.ts';
import { type ByteSource, takeOver } from '../src/checkpoint/byte-source.ts';
import { checksumOf } from '../src/checkpoint/checksum.ts';
import { toFloat32 } from '../src/checkpoint/dtypes.ts';
import { type CheckpointFolder, readText } from '../src/checkpoint/folder.ts';
import { type CheckpointLocation, locate, locationName } from '../src/checkpoint/location.ts';
import {
  type AnyComponentName,
  type AnyManifest,
  componentsOf,
  MANIFEST_NAME,
  type ManifestComponent,
  type ManifestFile,
  parseAnyManifest,
} from '../src/checkpoint/manifest.ts';
import { openSafetensors } from '../src/checkpoint/safetensors.ts';
import type { StoredTensor, TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { AbortError, CheckpointError, DeltaDiTError } from '../src/errors.ts';
import { AutoencoderKL } from '../src/models/autoencoder-kl.ts';
import { DiT } from '../src/models/dit.ts';
import { ImageClassifier } from '../src/models/image-classifier.ts';
import { parseImageClassifierConfig } from '../src/models/image-classifier-config.ts';
import { parseAutoencoderKLConfig, parseDiTConfig, parsePixArtConfig } from '../src/models/parse-config.ts';
import { PixArt } from '../src/models/pixart.ts';
import { IS_NULL_CAPTION } from '../src/models/pixart-checkpoint.ts';
import { parseT5EncoderConfig } from '../src/models/t5-config.ts';
import { T5Encoder } from '../src/models/t5-encoder.ts';
import { checkModel, NONE_OPTIONAL } from './model-parameters.ts';

export interface VerifyOptions {
  /** Every file is read twice, for its checksum and for its numbers. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifyProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly file: string;
}

/** What `verifyCheckpoint` found; the checkpoint is whole where there are no problems. */
export interface VerifyReport {
  readonly files: number;
  readonly tensors: number;
  readonly bytes: number;
  readonly nan: number;
  readonly infinite: number;
  /** One sentence each, in the order of the files. */
  readonly problems: readonly string[];
}

/**
 * Compares a converted checkpoint with its manifest: size and sha256 of every file, names and shapes of the tensors
 * with the model that the configuration describes, and counts NaN and ±Inf. Goes on after a problem. Needs Node.
 * @throws CheckpointError or FileError when there is no manifest to compare with; AbortError.
 */
export async function verifyCheckpoint(
  location: CheckpointLocation,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const path = locationName(location);
  const found = await locate(location);
  if (found.kind !== 'folder' || !(await found.folder.has(MANIFEST_NAME))) {
    throw new CheckpointError(
      `${path}: has no ${MANIFEST_NAME} to compare with; only folders that "delta-dit convert" wrote are verified`,
    );
  }
  const { folder } = found;
  const manifest = parseAnyManifest(`${path}/${MANIFEST_NAME}`, await readText(folder, MANIFEST_NAME));
  const run = new Verification(folder, manifest, options);
  for (const [name, component] of componentsOf(manifest)) await run.component(name, component);
  if (manifest.pipeline === 'PixArtPipeline') await run.plainFiles(manifest.tokenizer);
  return run.report();
}

/** Compares tensors with the model that a component's configuration describes. @throws CheckpointError */
function checkComponent(
  pipeline: AnyManifest['pipeline'],
  name: AnyComponentName,
  config: unknown,
  archive: TensorArchive,
): void {
  const where = archive.name;
  if (name === 'classifier') {
    const shapes = ImageClassifier.parameterShapes(parseImageClassifierConfig(where, config));
    checkModel(where, archive, shapes, NONE_OPTIONAL);
  } else if (name === 'vae') {
    checkModel(where, archive, AutoencoderKL.parameterShapes(parseAutoencoderKLConfig(where, config)));
  } else if (name === 'textEncoder') {
    checkModel(where, archive, T5Encoder.parameterShapes(parseT5EncoderConfig(where, config)), NONE_OPTIONAL);
  } else if (pipeline === 'PixArtPipeline') {
    checkModel(where, archive, PixArt.parameterShapes(parsePixArtConfig(where, config)), IS_NULL_CAPTION);
  } else {
    checkModel(where, archive, DiT.parameterShapes(parseDiTConfig(where, config)), NONE_OPTIONAL);
  }
}

function sumOf(files: readonly ManifestFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

class Verification {
  private readonly problems: string[] = [];
  private readonly totalBytes: number;
  private doneBytes = 0;
  private files = 0;
  private tensors = 0;
  private bytes = 0;
  private nan = 0;
  private infinite = 0;

  constructor(
    private readonly folder: CheckpointFolder,
    private readonly manifest: AnyManifest,
    private readonly options: VerifyOptions,
  ) {
    const weights = [...componentsOf(manifest).values()].flatMap(({ files }) => files);
    const others = manifest.pipeline === 'PixArtPipeline' ? manifest.tokenizer : [];
    this.totalBytes = 2 * sumOf(weights) + sumOf(others); // weights are read for their checksum, then for their numbers
  }

  report(): VerifyReport {
    const { files, tensors, bytes, nan, infinite, problems } = this;
    return { files, tensors, bytes, nan, infinite, problems };
  }

  async component(name: AnyComponentName, component: ManifestComponent): Promise<void> {
    const archives: TensorArchive[] = [];
    try {
      for (const file of component.files) {
        const archive = await this.noting(() => this.file(file));
        if (archive) archives.push(archive);
      }
      for (const archive of archives) await this.noting(() => this.numbers(archive, component.dtype));
      const whole = joinArchives(`${this.folder.name}: ${name}`, archives);
      const count = archives.reduce((sum, archive) => sum + archive.tensors.size, 0);
      if (count > whole.tensors.size)
        this.problems.push(`${whole.name}: ${count - whole.tensors.size} tensors occur twice`);
      const unread = archives.length < component.files.length; // would be missing as a matter of course
      if (!unread) await this.noting(async () => checkComponent(this.manifest.pipeline, name, component.config, whole));
    } finally {
      for (const archive of archives) await archive.close();
    }
  }

  /** Files that hold no tensors. */
  async plainFiles(files: readonly ManifestFile[]): Promise<void> {
    for (const file of files) {
      await this.noting(async () => {
        const source = await this.folder.open(file.name);
        await this.compare(source, file).finally(() => source.close());
      });
    }
  }

  /** One file against the manifest; its tensors, where it can be read at all. */
  private async file(file: ManifestFile): Promise<TensorArchive> {
    const source = await this.folder.open(file.name);
    return takeOver(source, async () => {
      await this.compare(source, file);
      return openSafetensors(source);
    });
  }

  private async compare(source: ByteSource, { bytes, sha256 }: ManifestFile): Promise<void> {
    this.files += 1;
    this.bytes += source.size;
    if (source.size !== bytes) this.problems.push(`${source.name}: expected ${bytes} bytes, got ${source.size}`);
    const found = await this.sha256(source);
    if (found !== sha256) this.problems.push(`${source.name}: expected sha256 ${sha256}, got ${found}`);
  }

  private async sha256(source: ByteSource): Promise<string> {
    return checksumOf(source, 'sha256', (bytes) => this.advance(bytes, source.name));
  }

  private async numbers(archive: TensorArchive, dtype: ManifestComponent['dtype']): Promise<void> {
    for (const tensor of archive.tensors.values()) {
      this.tensors += 1;
      if (tensor.dtype !== dtype)
        this.problems.push(`${archive.name}: ${tensor.name}: expected ${dtype}, got ${tensor.dtype}`);
      await this.noting(() => this.countNonFinite(archive.name, tensor));
    }
  }

  private async countNonFinite(where: string, tensor: StoredTensor): Promise<void> {
    const bytes = await tensor.read();
    this.advance(bytes.length, where);
    const values = toFloat32(bytes, tensor.dtype);
    let [nan, infinite] = [0, 0];
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (Number.isNaN(value)) nan += 1;
      else if (Math.abs(value) === Number.POSITIVE_INFINITY) infinite += 1;
    }
    this.nan += nan;
    this.infinite += infinite;
    if (nan + infinite > 0)
      this.problems.push(`${where}: ${tensor.name}: ${nan} NaN and ${infinite} infinite of ${values.length} numbers`);
  }

  private advance(bytes: number, file: string): void {
    if (this.options.signal?.aborted) throw new AbortError(`verifying was stopped at ${file}`);
    this.doneBytes += bytes;
    this.options.onProgress?.({ doneBytes: this.doneBytes, totalBytes: this.totalBytes, file });
  }

  /** Notes an error of ours as a problem, and goes on. */
  private async noting<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DeltaDiTError) || error instanceof AbortError) throw error;
      this.problems.push(error.message);
      return undefined;
    }
  }
}
