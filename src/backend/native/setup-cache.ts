import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { ADDON } from './setup-compile.ts';
import type { TensorFlowWheel } from './setup-platform.ts';
import { LIBRARIES } from './setup-unpack.ts';

/** Where one user keeps the native parts of all projects. */
export interface NativeCache {
  readonly root: string;
  /** The finished part: libraries, headers and addon. It appears whole, by a rename, or not at all. */
  readonly folder: string;
  readonly addon: string;
  /** The downloaded wheel, kept from a finished download to a finished part. */
  readonly wheelFile: string;
}

export function nativeCache(wheel: TensorFlowWheel, cacheDir: string = defaultCacheDir()): NativeCache {
  const root = join(cacheDir, 'native');
  const name = `${wheel.version}-${process.arch}-napi8`;
  const folder = join(root, name);
  return { root, folder, addon: join(folder, ADDON), wheelFile: join(root, `${name}.whl`) };
}

export function isComplete({ folder }: NativeCache): boolean {
  return [...LIBRARIES, ADDON].every((name) => existsSync(join(folder, name)));
}

/** Makes a folder for this run alone, after clearing those of runs on this machine that were cut off. */
export async function makeWorkFolder({ root }: NativeCache): Promise<string> {
  await mkdir(root, { recursive: true });
  const prefix = `.unfinished-${hostname()}-`;
  for (const entry of await readdir(root)) {
    if (entry.startsWith(prefix) && !isRunning(Number.parseInt(entry.slice(prefix.length), 10))) {
      await rm(join(root, entry), { recursive: true, force: true });
    }
  }
  const folder = join(root, `${prefix}${process.pid}-${randomUUID().slice(0, 8)}`);
  await mkdir(folder);
  return folder;
}

/** Moves a built part into its place, unless a set-up beside this one was faster. */
export async function publish(built: string, cache: NativeCache): Promise<void> {
  try {
    await rename(built, cache.folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (!['ENOTEMPTY', 'EEXIST'].includes(code ?? '') || !isComplete(cache)) throw error;
  }
  await rm(cache.wheelFile, { force: true });
}

/** Takes a part away that does not work, at once as seen by other processes. */
export async function discard(cache: NativeCache): Promise<void> {
  if (!existsSync(cache.folder)) return;
  const trash = join(await makeWorkFolder(cache), 'discarded');
  await rename(cache.folder, trash);
  await rm(join(trash, '..'), { recursive: true, force: true });
}

function defaultCacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'delta-dit');
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
