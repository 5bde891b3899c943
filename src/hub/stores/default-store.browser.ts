import { openCacheStore } from './cache-store.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { memoryStore } from './memory-store.ts';
import { openOpfsStore } from './opfs-store.ts';

let inMemory: CheckpointStore | undefined;

/** The best that the browser has: its private file system, else its cache storage, else memory. */
export async function openDefaultStore(): Promise<CheckpointStore> {
  const kept = (await openOpfsStore()) ?? (await openCacheStore());
  if (kept) return kept;
  inMemory ??= memoryStore();
  return inMemory;
}
