import { blobSource } from '../../checkpoint/blob-source.ts';
import { stopped } from '../persist.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

/** In memory: for pages that may keep nothing, and for one visit only. */
export function memoryStore(): CheckpointStore {
  const name = 'the memory of this page';
  const kept = new Map<string, Blob>();
  const locks = new Map<string, Promise<unknown>>();
  return {
    name,
    remedy: 'free memory',
    read: async (key) => {
      const blob = kept.get(key);
      return blob && blobSource(blob, `${name}: ${key}`);
    },
    write: async (key, bytes) => {
      kept.set(key, new Blob([bytes])); // which a browser may move to disk
    },
    remove: async (key) => {
      kept.delete(key);
    },
    keys: async () => [...kept.keys()],
    room: async () => undefined,
    exclusively: async (key, { where, signal, onWait }, work) => {
      for (let before = locks.get(key); before; before = locks.get(key)) {
        onWait?.();
        await unlessStopped(before, signal);
        if (signal?.aborted) throw stopped(where);
      }
      const run = work().finally(() => locks.delete(key));
      locks.set(
        key,
        run.catch(() => {}),
      );
      return run;
    },
  };
}

function unlessStopped(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<unknown> {
  if (!signal) return work;
  return Promise.race([work, new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))]);
}
