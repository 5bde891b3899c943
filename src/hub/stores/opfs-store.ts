import { blobSource } from '../../checkpoint/blob-source.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { withWebLock } from './web-locks.ts';
import { inWebStorage, WEB_REMEDY, webRoom } from './web-room.ts';

const FOLDER = 'delta-dit';
const NAME = "the browser's private file system";

/**
 * The private file system of an origin (OPFS), which is on disk.
 * @returns undefined where there is none that this page may write to
 */
export async function openOpfsStore(folder = FOLDER): Promise<CheckpointStore | undefined> {
  try {
    if (!('createWritable' in FileSystemFileHandle.prototype) || !navigator.locks) return undefined;
    const root = await navigator.storage.getDirectory();
    return opfsStore(await root.getDirectoryHandle(folder, { create: true }));
  } catch {
    return undefined; // absent, or closed to private windows
  }
}

function opfsStore(folder: FileSystemDirectoryHandle): CheckpointStore {
  return {
    name: NAME,
    remedy: WEB_REMEDY,
    read: (key) =>
      inWebStorage(NAME, async () => {
        const handle = await unlessAbsent(folder.getFileHandle(key));
        const file = await handle?.getFile();
        return file && file.size > 0 ? blobSource(file, `${NAME}: ${key}`) : undefined; // a write that was cut leaves it empty
      }),
    write: (key, bytes) =>
      inWebStorage(NAME, async () => {
        const handle = await folder.getFileHandle(key, { create: true });
        const writable = await handle.createWritable(); // becomes the file when it is closed
        try {
          await writable.write(bytes);
          await writable.close();
        } catch (error) {
          await writable.abort().catch(() => {});
          throw error;
        }
      }),
    remove: async (key) => {
      await inWebStorage(NAME, () => unlessAbsent(folder.removeEntry(key)));
    },
    keys: () => inWebStorage(NAME, () => keysOf(folder)),
    room: webRoom,
    exclusively: withWebLock,
  };
}

async function keysOf(folder: FileSystemDirectoryHandle): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of folder.keys()) keys.push(key);
  return keys;
}

async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  });
}
