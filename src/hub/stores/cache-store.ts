import { blobSource } from '../../checkpoint/blob-source.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { withWebLock } from './web-locks.ts';
import { inWebStorage, WEB_REMEDY, webRoom } from './web-room.ts';

const CACHE = 'delta-dit';
const NAME = "the browser's cache storage";
/** Keys of the Cache API are URLs; nothing is ever asked of this one. */
const ADDRESS = 'https://delta-dit.invalid/';

/** The Cache API, for browsers that let a page write no files. @returns undefined where there is none */
export async function openCacheStore(name = CACHE): Promise<CheckpointStore | undefined> {
  try {
    return navigator.locks ? cacheStore(await caches.open(name)) : undefined;
  } catch {
    return undefined; // absent on insecure origins, closed to some private windows
  }
}

function cacheStore(cache: Cache): CheckpointStore {
  return {
    name: NAME,
    remedy: WEB_REMEDY,
    read: (key) =>
      inWebStorage(NAME, async () => {
        const response = await cache.match(ADDRESS + key);
        return response && blobSource(await response.blob(), `${NAME}: ${key}`);
      }),
    write: (key, bytes) => inWebStorage(NAME, () => cache.put(ADDRESS + key, new Response(bytes))),
    remove: async (key) => {
      await inWebStorage(NAME, () => cache.delete(ADDRESS + key));
    },
    keys: () => inWebStorage(NAME, async () => (await cache.keys()).map(({ url }) => url.slice(ADDRESS.length))),
    room: webRoom,
    exclusively: withWebLock,
  };
}
