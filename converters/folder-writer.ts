import { mkdir, open, readdir, rename, rm, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { MANIFEST_NAME } from '../src/checkpoint/manifest.ts';
import { FileError } from '../src/errors.ts';
import { clearStale, exists, partialFolder, SET_ASIDE } from './stale-folders.ts';
import { allocateShared, WriteThread } from './write-thread.ts';

/** Left free on the disk beside the files. */
const SPARE_BYTES = 16 * 2 ** 20;

/**
 * A folder that appears whole or not at all: written beside its place under a temporary name, synced, then renamed.
 */
export class FolderWriter {
  private finished = false;
  private readonly thread = new WriteThread();

  private constructor(
    private readonly out: string,
    private readonly temporary: string,
  ) {}

  /**
   * What earlier processes left half-written is cleared away first.
   * @throws FileError when `out` exists (unless `force`), cannot be written to, or has too little room for `bytes`.
   */
  static async create(path: string, { bytes, force }: { bytes: number; force: boolean }): Promise<FolderWriter> {
    const out = resolve(path);
    await explained(path, () => clearStale(out));
    if (await exists(out)) await assertReplaceable(path, out, force);
    const parent = dirname(out);
    const temporary = partialFolder(out);
    return explained(path, async () => {
      await mkdir(parent, { recursive: true });
      const { bavail, bsize } = await statfs(parent);
      if (bavail * bsize < bytes + SPARE_BYTES) {
        throw new FileError(
          `${path}: needs ${megabytes(bytes + SPARE_BYTES)} free, the disk has ${megabytes(bavail * bsize)}; free some or use --dtype float16`,
        );
      }
      await mkdir(temporary);
      return new FolderWriter(out, temporary);
    });
  }

  /** Memory from which `write` of `file` takes bytes without copying them. */
  readonly allocate = allocateShared;

  /** Writes one file piece by piece. @returns its size and sha256 */
  async file(
    name: string,
    fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<{ name: string; bytes: number; sha256: string }> {
    const path = join(this.temporary, name);
    let bytes = 0;
    const handle = await explained(this.out, () => open(path, 'wx'));
    try {
      await fill(async (chunk) => {
        await explained(this.out, () => this.thread.write(path, handle.fd, chunk));
        bytes += chunk.length;
      });
      await explained(this.out, () => handle.sync());
      return { name, bytes, sha256: await this.thread.sha256(path) };
    } finally {
      await handle.close();
    }
  }

  async text(name: string, text: string): Promise<void> {
    await this.file(name, (write) => write(new TextEncoder().encode(text)));
  }

  /** Puts the folder in its place; what stood there before is replaced. */
  async commit(): Promise<void> {
    await explained(this.out, async () => {
      await syncFolder(this.temporary);
      const old = `${this.temporary}${SET_ASIDE}`;
      const replaced = await exists(this.out);
      if (replaced) await rename(this.out, old);
      try {
        await rename(this.temporary, this.out);
      } catch (error) {
        if (replaced) await rename(old, this.out);
        throw error;
      }
      await syncFolder(dirname(this.out));
      this.finished = true;
      await rm(old, { recursive: true, force: true });
    });
  }

  /** Removes what was written, unless it was committed; what stood in its place before is there again. */
  async discard(): Promise<void> {
    await this.thread.end();
    if (!this.finished) await clearStale(this.out);
  }
}

/** @throws FileError unless the folder may go: asked for, and either empty or a checkpoint. */
async function assertReplaceable(path: string, out: string, force: boolean): Promise<void> {
  if (!force) throw new FileError(`${path}: exists already; choose another --out, or --force to replace it`);
  const found = await explained(path, () => readdir(out));
  if (found.length > 0 && !found.includes(MANIFEST_NAME)) {
    throw new FileError(
      `${path}: holds other files and no ${MANIFEST_NAME}, so it is not replaced; choose another --out`,
    );
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync().catch((cause: NodeJS.ErrnoException) => {
      if (!UNSYNCED.has(cause.code ?? '')) throw cause;
    });
  } finally {
    await handle.close();
  }
}

/** Windows and some network disks do not sync folders. */
const UNSYNCED = new Set(['EPERM', 'EISDIR', 'EINVAL', 'ENOTSUP']);

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space',
  EDQUOT: 'the disk quota is used up; free some space',
  EACCES: 'may not be written to; change its permissions or choose another --out',
  EPERM: 'may not be written to; change its permissions or choose another --out',
  EROFS: 'is on a read-only disk; choose another --out',
  ENOTDIR: 'is no folder, or lies below something that is none; choose another --out',
  EEXIST: 'lies below something that is no folder; choose another --out',
};

async function explained<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause)) throw cause;
    throw new FileError(`${path}: ${REASONS[String(cause.code)] ?? `could not be written (${cause.message})`}`, {
      cause,
    });
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
