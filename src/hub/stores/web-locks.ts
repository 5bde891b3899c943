import { stopped } from '../persist.ts';
import type { StoreLockOptions } from './checkpoint-store.ts';

const PREFIX = 'delta-dit:';

/** Runs `work` while no other tab or worker of this origin does with the same key. */
export async function withWebLock<T>(
  key: string,
  { where, signal, onWait }: StoreLockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const name = PREFIX + key;
  const free = await navigator.locks.request(name, { ifAvailable: true }, async (lock) =>
    lock ? { result: await work() } : undefined,
  );
  if (free) return free.result;
  onWait?.();
  let held = false;
  try {
    return await navigator.locks.request(name, { ...(signal && { signal }) }, () => {
      held = true;
      return work();
    });
  } catch (error) {
    if (!held && signal?.aborted) throw stopped(where);
    throw error;
  }
}
