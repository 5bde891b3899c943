import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { isAlive } from '../../checkpoint/process-alive.ts';
import { ADDON_PATH } from './setup-compile.ts';
import type { NativeRecipe, Wheel } from './setup-wheels.ts';

/** Where one user keeps the native parts of all projects. */
export interface NativeCache {
  readonly root: string;
  /**
   * The finished part, laid out as pip lays out the wheels: `tensorflow/` with libraries, headers and addon, for a GPU
   * `nvidia/` beside it, where TensorFlow looks for it. It appears whole, by a rename, or not at all.
   */
  readonly folder: string;
  readonly addon: string;
  /** Downloaded wheels, each kept from its finished download to the finished part. */
  readonly wheels: string;
  /** Paths in the finished part without which it is none. */
  readonly required: readonly string[];
}

export function nativeCache(recipe: NativeRecipe, cacheDir: string = defaultCacheDir()): NativeCache {
  const root = nativeFolder(cacheDir);
  const folder = join(root, `${recipe.tensorflow}-${recipe.device}-${process.arch}-napi8`);
  return {
    root,
    folder,
    addon: join(folder, ADDON_PATH),
    wheels: `${folder}${WHEELS}`,
    required: [ADDON_PATH, ...recipe.wheels.flatMap((wheel) => wheel.required)],
  };
}

/** Ends the name of a folder of downloaded wheels. */
export const WHEELS = '.wheels';
/** Begins the name of a folder that one run works in. */
export const UNFINISHED = '.unfinished-';

export function nativeFolder(cacheDir: string = defaultCacheDir()): string {
  return join(cacheDir, 'native');
}

export function isComplete({ folder, required }: NativeCache): boolean {
  return required.every((name) => existsSync(join(folder, name)));
}

/** Where a wheel lies once it is whole. */
export function wheelFile({ wheels }: NativeCache, wheel: Wheel): string {
  return join(wheels, `${wheel.package}-${wheel.version}.whl`);
}

/** Makes a folder for this run alone, after clearing those of runs on this machine that were cut off. */
export async function makeWorkFolder({ root }: NativeCache): Promise<string> {
  await mkdir(root, { recursive: true });
  const prefix = `${UNFINISHED}${hostname()}-`;
  for (const entry of await readdir(root)) {
    if (entry.startsWith(prefix) && !isAlive(Number.parseInt(entry.slice(prefix.length), 10))) {
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
  await rm(cache.wheels, { recursive: true, force: true });
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
