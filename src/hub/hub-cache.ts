import { randomUUID } from 'node:crypto';
import {
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { FileError } from '../errors.ts';
import { isSystemError, onDisk } from './disk-errors.ts';
import type { HubFile } from './listing.ts';
import { isCommit } from './reference.ts';

/** Left free on the disk beside the files. */
const SPARE_BYTES = 64 * 2 ** 20;
/** Ends the name of a file that has not wholly arrived; huggingface_hub clears away what ends so. */
const INCOMPLETE = '.delta-dit.incomplete';

/**
 * One model's folder in the cache of Python's huggingface_hub: `blobs/` has the content of files by its checksum, `refs/`
 * the commit of each branch or tag, `snapshots/<commit>/` the files of a commit as links to blobs. A link is made when its
 * blob is whole. Needs Node.
 */
export class HubCache {
  readonly folder: string;
  private readonly locks: string;

  /** @param repo `owner/name` @param symlinks without, snapshots have hard links or copies */
  constructor(
    readonly cacheDir: string,
    repo: string,
    private readonly symlinks: boolean,
  ) {
    const name = `models--${repo.replace('/', '--')}`;
    this.folder = join(cacheDir, name);
    this.locks = join(cacheDir, '.locks', name);
  }

  snapshot(commit: string, path = ''): string {
    return join(this.folder, 'snapshots', commit, path);
  }

  blob({ checksum }: HubFile): string {
    return join(this.folder, 'blobs', checksum.hex);
  }

  /** Where a blob grows until it is whole. */
  incomplete(file: HubFile): string {
    return this.blob(file) + INCOMPLETE;
  }

  lock({ checksum }: HubFile): string {
    return join(this.locks, `${checksum.hex}.delta-dit.lock`);
  }

  /** The commit that a revision stood for when it was last looked up. */
  async commit(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '');
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  /** The files of a commit that are there, by their paths with forward slashes. */
  async paths(commit: string): Promise<ReadonlySet<string>> {
    const root = this.snapshot(commit);
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    const names = entries.map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'));
    const found = await Promise.all(names.map(async (name) => (await isFile(join(root, name))) && name));
    return new Set(found.filter((name) => name !== false));
  }

  /** Where the content of a file is, whole; undefined where it is not. */
  async content(commit: string, file: HubFile): Promise<string | undefined> {
    for (const path of [this.blob(file), this.snapshot(commit, file.path)])
      if (await isFile(path, file.bytes)) return path;
    return undefined;
  }

  /** Bytes of a file that an earlier download left. */
  async arrived(file: HubFile): Promise<number> {
    const found = await stat(this.incomplete(file)).catch(() => undefined);
    return Math.min(found?.size ?? 0, file.bytes);
  }

  /** @throws FileError when the disk has less than `bytes` free. */
  async checkSpace(bytes: number): Promise<void> {
    if (bytes === 0) return;
    const { bavail, bsize } = await onDisk(this.folder, async () => {
      await mkdir(this.folder, { recursive: true });
      return statfs(this.folder);
    });
    if (bavail * bsize >= bytes + SPARE_BYTES) return;
    throw new FileError(
      `${this.folder}: needs ${megabytes(bytes + SPARE_BYTES)} free, the disk has ${megabytes(bavail * bsize)}; free some, or set HF_HUB_CACHE to a folder on another disk`,
    );
  }

  /** Puts a file whose content is there into the snapshot of a commit. */
  async link(commit: string, file: HubFile): Promise<void> {
    const pointer = this.snapshot(commit, file.path);
    const blob = this.blob(file);
    await onDisk(pointer, async () => {
      const target = relative(dirname(pointer), blob);
      if ((await readlink(pointer).catch(() => undefined)) === target) return;
      const isThere = await isFile(pointer, file.bytes);
      if (isThere && !(this.symlinks && (await isFile(blob, file.bytes)))) return;
      await mkdir(dirname(pointer), { recursive: true });
      if (this.symlinks && (await linked(target, pointer))) return;
      await replacing(pointer, (temporary) => link(blob, temporary).catch(() => copyFile(blob, temporary)));
    });
  }

  /** Notes the commit that a revision stands for. */
  async note(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commit(revision)) === commit) return;
    const ref = join(this.folder, 'refs', revision);
    await onDisk(ref, async () => {
      await mkdir(dirname(ref), { recursive: true });
      await replacing(ref, (temporary) => writeFile(temporary, commit));
    });
  }
}

/** False where the system has no links, or lets this user make none. */
async function linked(target: string, pointer: string): Promise<boolean> {
  try {
    await replacing(pointer, (temporary) => symlink(target, temporary));
    return true;
  } catch (error) {
    if (isSystemError(error) && ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(error.code)) return false;
    throw error;
  }
}

/** Writes beside the place and then renames, so that nobody sees a half. */
async function replacing(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** @param bytes the size that it must have, where that is known */
async function isFile(path: string, bytes?: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && (bytes === undefined || found.size === bytes);
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
