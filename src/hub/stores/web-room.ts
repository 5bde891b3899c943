import { FileError } from '../../errors.ts';

/** What to do when the storage of this origin is full. */
export const WEB_REMEDY = 'free disk space, clear the data of this site, or give store: memoryStore() to keep nothing';

/** Bytes that this origin may still keep, as the browser estimates it. */
export async function webRoom(): Promise<number | undefined> {
  const { quota, usage } = await navigator.storage.estimate();
  return quota === undefined ? undefined : Math.max(quota - (usage ?? 0), 0);
}

/** Runs work on the browser's storage. @throws FileError with what to do, for what the browser refuses. */
export async function inWebStorage<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof DOMException)) throw cause;
    if (cause.name === 'QuotaExceededError') throw new FileError(`${name}: is full; ${WEB_REMEDY}`, { cause });
    throw new FileError(`${name}: the browser refuses (${cause.message}); allow this site to keep data`, { cause });
  }
}
