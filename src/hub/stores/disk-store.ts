import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSource } from '../../checkpoint/file-source.ts';
import { pathKind } from '../../checkpoint/node-folder.ts';
import { onDisk } from '../disk-errors.ts';
import { withLock } from '../file-lock.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

const LOCK = '.lock';
const UNFINISHED = '.tmp';

/** A folder on disk. Needs Node. */
export function diskStore(folder: string): CheckpointStore {
  const path = (key: string) => join(folder, key);
  return {
    name: folder,
    read: async (key) => ((await pathKind(path(key))) === 'file' ? fileSource(path(key)) : undefined),
    write: async (key, bytes) => {
      const temporary = `${path(key)}.${randomUUID().slice(0, 8)}${UNFINISHED}`;
      await onDisk(path(key), async () => {
        await mkdir(folder, { recursive: true });
        try {
          await writeFile(temporary, bytes, { flush: true });
          await rename(temporary, path(key));
        } finally {
          await rm(temporary, { force: true });
        }
      });
    },
    remove: (key) => onDisk(path(key), () => rm(path(key), { force: true })),
    keys: async () =>
      (await readdir(folder).catch(() => [])).filter((name) => !name.endsWith(LOCK) && !name.endsWith(UNFINISHED)),
    room: () =>
      onDisk(folder, async () => {
        await mkdir(folder, { recursive: true });
        const { bavail, bsize } = await statfs(folder);
        return bavail * bsize;
      }),
    exclusively: (key, options, work) => withLock(`${path(key)}${LOCK}`, options, work),
  };
}
