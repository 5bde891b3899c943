import { assertChecksums } from '../checkpoint/checksum.ts';
import { MAX_TEXT_BYTES, readText } from '../checkpoint/folder.ts';
import type { CheckpointLocation } from '../checkpoint/location.ts';
import { CheckpointError, FileError } from '../errors.ts';
import { inParallel } from './in-parallel.ts';
import type { HubFile } from './listing.ts';
import { neededFiles, type RepoFiles, type Wanted } from './needed-files.ts';
import { ARRIVALS, damaged } from './receive.ts';
import type { ModelListing, RemoteModel } from './remote-model.ts';
import { arrivedBytes, keptContent, StoredContent } from './stored-content.ts';
import { type StoredModel, storedFile, storedFolder } from './stored-folder.ts';
import type { CheckpointStore } from './stores/checkpoint-store.ts';
import { type DownloadProgress, TransferMeter } from './transfer-meter.ts';

export interface KeepOptions {
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Stops everything that is under way, when one file fails. */
  readonly stop: () => void;
}

/**
 * Brings what a store lacks of a model: only the files that a pipeline reads, each compared with its checksum before it is
 * used.
 * @returns the file or folder to open
 * @throws HubError when the server does not give it; FileError when the store has no room, or nothing can be checked;
 * CheckpointError when it is no checkpoint that is read; AbortError
 */
export async function keepModel(
  remote: RemoteModel,
  listing: ModelListing,
  store: CheckpointStore,
  wanted: Wanted,
  options: KeepOptions,
): Promise<CheckpointLocation> {
  const run = new Keeping(remote, { ...listing, remote, store }, options);
  const { entry, files } = await neededFiles(run.repo, wanted);
  await run.bring([...new Set(files)]);
  return run.location(entry);
}

class Keeping {
  constructor(
    private readonly remote: RemoteModel,
    private readonly model: StoredModel,
    private readonly options: KeepOptions,
  ) {}

  /** The small files that decide which others are needed arrive while it is found out. */
  get repo(): RepoFiles {
    const { texts, files } = this.model;
    return {
      name: this.remote.where,
      paths: new Set([...texts.keys(), ...files.keys()]),
      text: async (path) => {
        if (!texts.has(path)) await this.bringSmall(path);
        const folder = path.split('/').slice(0, -1).join('/');
        return readText(storedFolder(this.model, folder), path.split('/').at(-1) ?? path);
      },
    };
  }

  async bring(paths: readonly string[]): Promise<void> {
    const { remote, model, options } = this;
    const files = paths.map((path) => model.files.get(path)).filter((file) => file !== undefined);
    const missing: HubFile[] = [];
    for (const file of files) if (!(await this.isKept(file))) missing.push(file);
    if (missing.length === 0) return;
    await assertChecksums(remote.where);
    const total = missing.reduce((sum, { bytes }) => sum + bytes, 0);
    const meter = new TransferMeter(remote.where, total, (progress) => options.onDownload?.(progress));
    let lacking = total;
    for (const file of missing) {
      const arrived = await arrivedBytes(model.store, file);
      if (arrived > 0) meter.set(file.path, arrived);
      lacking -= arrived;
    }
    await this.checkRoom(lacking);
    await inParallel(missing, (file) => this.fetch(file, meter), options.stop);
  }

  location(entry: string): CheckpointLocation {
    const { files, texts } = this.model;
    return files.has(entry) || texts.has(entry) ? storedFile(this.model, entry) : storedFolder(this.model, entry);
  }

  private async bringSmall(path: string): Promise<void> {
    const file = this.model.files.get(path);
    if (!file) throw new RangeError(`${path} is not in the listing`);
    if (file.bytes > MAX_TEXT_BYTES)
      throw new CheckpointError(`${this.remote.show(path)}: ${file.bytes} bytes are too many for a configuration file`);
    if (await this.isKept(file)) return;
    await assertChecksums(this.remote.where);
    await this.fetch(file);
  }

  private async isKept(file: HubFile): Promise<boolean> {
    const content = await keptContent(this.model.store, file.path, file);
    await content?.close();
    return content !== undefined;
  }

  private async fetch(file: HubFile, meter?: TransferMeter): Promise<void> {
    const where = this.remote.show(file.path);
    const { signal } = this.options;
    const onWait = () => meter?.set(file.path, 0, true);
    await this.model.store.exclusively(file.checksum.hex, { where, signal, onWait }, async () => {
      if (await this.isKept(file)) meter?.set(file.path, file.bytes);
      else await this.receive(where, file, meter);
    });
  }

  private async receive(where: string, file: HubFile, meter: TransferMeter | undefined): Promise<void> {
    const { remote, model } = this;
    for (let arrivals = 0; arrivals < ARRIVALS; arrivals++) {
      const content = await StoredContent.open(model.store, file, (length) => meter?.set(file.path, length));
      try {
        await remote.fetchFile(file, content);
      } finally {
        await content.close();
      }
      if (await content.isRight()) return content.markWhole();
      await content.restart();
    }
    throw damaged(where, file.checksum, remote.remedy);
  }

  /** @throws FileError when the store has not enough of it. */
  private async checkRoom(bytes: number): Promise<void> {
    const { store } = this.model;
    const room = await store.room();
    if (room === undefined || bytes <= room) return;
    throw new FileError(`${store.name}: needs ${megabytes(bytes)} free, has ${megabytes(room)}; ${store.remedy}`);
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
