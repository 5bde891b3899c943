import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileSource } from '../../checkpoint/file-source.ts';
import { pathKind } from '../../checkpoint/node-folder.ts';
import { onDisk } from '../disk-errors.ts';
import { withLock } from '../file-lock.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

const VARIABLE = 'XDG_CACHE_HOME';
const LOCK = '.lock';
const UNFINISHED = '.tmp';

/** A folder on disk. Needs Node. */
export function diskStore(folder: string): CheckpointStore {
  const path = (key: string) => join(folder, key);
  return {
    name: folder,
    remedy: `free some space, or set ${VARIABLE} to a folder on another disk`,
    read: async (key) => ((await pathKind(path(key))) === 'file' ? fileSource(path(key)) : undefined),
    write: async (key, bytes) => {
      const temporary = `${path(key)}.${randomUUID().slice(0, 8)}${UNFINISHED}`;
      await onDisk(path(key), () => replaceFile(temporary, path(key), bytes), VARIABLE);
    },
    remove: (key) => onDisk(path(key), () => rm(path(key), { force: true }), VARIABLE),
    keys: async () =>
      (await readdir(folder).catch(() => [])).filter((name) => !name.endsWith(LOCK) && !name.endsWith(UNFINISHED)),
    room: () => onDisk(folder, () => freeBytes(folder), VARIABLE),
    exclusively: (key, options, work) => withLock(`${path(key)}${LOCK}`, options, work),
  };
}

/** Writes beside the place and then renames, so that nobody sees a half. */
async function replaceFile(temporary: string, path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(temporary, bytes, { flush: true });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function freeBytes(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
