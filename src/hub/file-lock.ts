import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { isAlive } from '../checkpoint/process-alive.ts';
import { isJsonObject } from '../checkpoint/strict-json.ts';
import { onDisk } from './disk-errors.ts';
import { pause, stopped } from './persist.ts';

/** How often a holder says that it lives, and after what silence it is taken for dead: stopped, or on another machine. */
const BEAT_MS = 10_000;
const DEAD_MS = 60_000;
const LOOK_MS = 200;

/** The lock was taken away from a holder that had been silent for too long: the process had been stopped. */
export class LostLock extends Error {}

export interface HeldLock {
  /** @throws LostLock */
  assertHeld(): Promise<void>;
}

export interface LockOptions {
  /** Shown in errors. */
  readonly where: string;
  readonly signal?: AbortSignal | undefined;
  /** Called when another process has it. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Runs `work` while no other process does with the same lock file. A file that a killed process left is taken over, on
 * this machine at once, from others after a minute.
 * @throws AbortError when stopped while waiting
 */
export async function withLock<T>(
  path: string,
  { where, signal, onWait }: LockOptions,
  work: (lock: HeldLock) => Promise<T>,
): Promise<T> {
  const mine = JSON.stringify({ host: hostname(), pid: process.pid, id: randomUUID() });
  await onDisk(path, () => mkdir(dirname(path), { recursive: true }));
  while (!(await onDisk(path, () => acquired(path, mine)))) {
    if (signal?.aborted) throw stopped(where);
    if (await clearedAbandoned(path)) continue;
    onWait?.();
    await pause(LOOK_MS, signal);
  }
  const isMine = async () => (await readFile(path, 'utf8').catch(() => undefined)) === mine;
  const beat = setInterval(async () => (await isMine()) && touch(path), BEAT_MS);
  beat.unref();
  try {
    return await work({
      assertHeld: async () => {
        if (!(await isMine())) throw new LostLock(`${path}: was taken over`);
      },
    });
  } finally {
    clearInterval(beat);
    if (await isMine()) await rm(path, { force: true });
  }
}

/** False where the file is there. */
async function acquired(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Takes a lock away whose holder is dead. Of several that try, one moves the file; the others look again. */
async function clearedAbandoned(path: string): Promise<boolean> {
  const content = await readFile(path, 'utf8').catch(() => undefined);
  if (content === undefined) return true; // let go meanwhile
  if (!(await isAbandoned(path, content))) return false;
  const moved = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await rename(path, moved);
  } catch {
    return true;
  }
  const isTheSame = (await readFile(moved, 'utf8')) === content;
  if (!isTheSame)
    await rename(moved, path); // another had taken it over and holds it now
  else await rm(moved, { force: true });
  return isTheSame;
}

async function isAbandoned(path: string, content: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found && Date.now() - found.mtimeMs > DEAD_MS) return true;
  const { host, pid } = holderOf(content);
  return host === hostname() && typeof pid === 'number' && !isAlive(pid);
}

/** Of a file whose writer was killed in the middle nothing is known but its age. */
function holderOf(content: string): { host?: unknown; pid?: unknown } {
  try {
    const holder: unknown = JSON.parse(content);
    return isJsonObject(holder) ? holder : {};
  } catch {
    return {};
  }
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}
