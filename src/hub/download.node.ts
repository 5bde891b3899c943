import { basename, dirname } from 'node:path';
import { MAX_TEXT_BYTES, readText } from '../checkpoint/folder.ts';
import { nodeFolder } from '../checkpoint/node-folder.ts';
import { CheckpointError, FormatError, HubError } from '../errors.ts';
import type { DownloadOptions } from './checkpoint-path.ts';
import { type HeldLock, LostLock, withLock } from './file-lock.ts';
import { HubCache } from './hub-cache.ts';
import { HubClient } from './hub-client.ts';
import { type HubSettings, hubSettings } from './hub-settings.ts';
import { inParallel } from './in-parallel.ts';
import type { HubFile } from './listing.ts';
import { type NeededFiles, neededFiles, type RepoFiles, type Wanted } from './needed-files.ts';
import { PartialFile } from './partial-file.ts';
import { ARRIVALS, damaged } from './receive.ts';
import { type HubReference, parseReference, showReference } from './reference.ts';
import { TransferMeter } from './transfer-meter.ts';

/** A model that is looked for, with everything that says where. */
interface Search {
  readonly reference: HubReference;
  readonly wanted: Wanted;
  readonly settings: HubSettings;
  readonly cache: HubCache;
}

async function searchFor(name: string, options: DownloadOptions): Promise<Search> {
  const reference = parseReference(name, options.revision);
  const settings = await hubSettings({ ...options, offline: options.localFilesOnly });
  const { part = 'pipeline', without = [] } = options;
  const cache = new HubCache(settings.cacheDir, reference.repo, settings.symlinks);
  return { reference, settings, cache, wanted: { path: reference.path, part, without } };
}

/**
 * A model of the hub as a path: from the cache when all that is needed is there, without asking the hub; else downloaded.
 * @throws as `downloadFromHub`
 */
export async function fromCacheOrHub(name: string, options: DownloadOptions): Promise<string> {
  const search = await searchFor(name, options);
  const cached = await cachedPath(search);
  // that the cache has one weights file does not say that the model has no other
  if (cached && (!cached.isOnlyOne || search.settings.offline)) return cached.path;
  return downloaded(search, options);
}

/**
 * Brings what the cache lacks of a model's newest commit, and gives the path to open. Without a network, the path of what
 * is there.
 * @throws OptionError for a name that is none; HubError when the hub does not give it, with what to do; FileError when the
 * disk is too small or may not be written to; CheckpointError when it is no checkpoint that is read; AbortError
 */
export async function downloadFromHub(name: string, options: DownloadOptions): Promise<string> {
  const search = await searchFor(name, options);
  if (!search.settings.offline) return downloaded(search, options);
  return (await cachedPath(search))?.path ?? (await downloaded(search, options));
}

/** Undefined where the cache does not have all that is needed. */
async function cachedPath({
  reference,
  cache,
  wanted,
}: Search): Promise<{ readonly path: string; readonly isOnlyOne: boolean } | undefined> {
  const commit = await cache.commit(reference.revision);
  if (commit === undefined) return undefined;
  const repo = {
    name: reference.repo,
    paths: await cache.paths(commit),
    text: (path: string) => readSmall(cache.snapshot(commit, path)),
  };
  try {
    const { entry, isOnlyOne = false } = await neededFiles(repo, wanted);
    return { path: cache.snapshot(commit, entry), isOnlyOne };
  } catch (error) {
    if (error instanceof CheckpointError || error instanceof FormatError) return undefined;
    throw error;
  }
}

async function downloaded({ reference, settings, cache, wanted }: Search, options: DownloadOptions): Promise<string> {
  const where = showReference(reference);
  if (settings.offline) {
    const why = options.localFilesOnly ? 'localFilesOnly is set' : 'HF_HUB_OFFLINE is set';
    throw new HubError(
      `${where}: is not (or not wholly) in ${settings.cacheDir}, and ${why}; unset it to download the model, or copy it here`,
    );
  }
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const client = new HubClient(reference, { ...settings, signal });
  const commit = await client.commit();
  const files = new Map((await client.files(commit)).map((file) => [file.path, file]));
  const run = new Download(client, cache, commit, files, { ...options, signal }, () => stop.abort());
  return run.fetch(where, wanted, reference.revision);
}

class Download {
  constructor(
    private readonly client: HubClient,
    private readonly cache: HubCache,
    private readonly commit: string,
    private readonly files: ReadonlyMap<string, HubFile>,
    private readonly options: DownloadOptions,
    private readonly stop: () => void,
  ) {}

  async fetch(where: string, wanted: Wanted, revision: string): Promise<string> {
    const { entry, files } = await this.needed(where, wanted);
    const missing: HubFile[] = [];
    for (const file of files) if (!(await this.cache.content(this.commit, file))) missing.push(file);
    const arrived = await Promise.all(missing.map((file) => this.cache.arrived(file)));
    await this.cache.checkSpace(missing.reduce((sum, { bytes }, i) => sum + bytes - (arrived[i] ?? 0), 0));
    const total = missing.reduce((sum, { bytes }) => sum + bytes, 0);
    const meter = new TransferMeter(where, total, (progress) => this.options.onDownload?.(progress));
    await inParallel(missing, (file) => this.fetchFile(file, meter), this.stop);
    for (const file of files) await this.cache.link(this.commit, file);
    await this.cache.note(revision, this.commit);
    return this.cache.snapshot(this.commit, entry);
  }

  /** The small files that decide which others are needed arrive while it is found out. */
  private async needed(where: string, wanted: Wanted): Promise<{ entry: string; files: readonly HubFile[] }> {
    const repo: RepoFiles = {
      name: where,
      paths: new Set(this.files.keys()),
      text: async (path) => readSmall(await this.fetchFile(this.small(path))),
    };
    const { entry, files }: NeededFiles = await neededFiles(repo, wanted);
    // what tells which files belong together is linked last: a snapshot that has it has the others
    return { entry, files: [...new Set(files)].reverse().map((path) => this.file(path)) };
  }

  private file(path: string): HubFile {
    const file = this.files.get(path);
    if (!file) throw new RangeError(`${path} is not in the listing`);
    return file;
  }

  /** A file that is read as text. @throws CheckpointError when it is none, before it is fetched. */
  private small(path: string): HubFile {
    const file = this.file(path);
    if (file.bytes <= MAX_TEXT_BYTES) return file;
    throw new CheckpointError(`${this.client.show(path)}: ${file.bytes} bytes are too many for a configuration file`);
  }

  /** Gives the path of the content, which is whole. */
  private async fetchFile(file: HubFile, meter?: TransferMeter): Promise<string> {
    const { cache, commit } = this;
    const where = this.client.show(file.path);
    const onWait = () => meter?.set(file.path, 0, true);
    for (;;) {
      const found = await cache.content(commit, file);
      if (found) return found;
      try {
        await withLock(cache.lock(file), { where, signal: this.options.signal, onWait }, async (lock) => {
          if (!(await cache.content(commit, file))) await this.receive(where, file, lock, meter);
        });
      } catch (error) {
        if (!(error instanceof LostLock)) throw error;
      }
    }
  }

  private async receive(where: string, file: HubFile, lock: HeldLock, meter: TransferMeter | undefined): Promise<void> {
    for (let arrivals = 0; arrivals < ARRIVALS; arrivals++) {
      const partial = await PartialFile.open(this.cache.incomplete(file), file, lock, (length) =>
        meter?.set(file.path, length),
      );
      try {
        await this.client.fetchFile(this.commit, file, partial);
        if (partial.isRight()) return await partial.publish(this.cache.blob(file));
        await partial.discard();
      } finally {
        await partial.close();
      }
    }
    throw damaged(where, file.checksum);
  }
}

function readSmall(path: string): Promise<string> {
  return readText(nodeFolder(dirname(path)), basename(path));
}
