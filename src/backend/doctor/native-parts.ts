import { existsSync } from 'node:fs';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { nativeFolder, UNFINISHED, WHEELS } from '../native/setup-cache.ts';
import { ADDON_PATH } from '../native/setup-compile.ts';
import { findTfjsNode } from '../native/tfjs-node-package.ts';
import { type Finding, OK } from './finding.ts';

/** A folder in the cache of native parts. */
export interface NativePart {
  readonly name: string;
  readonly bytes: number;
  /** `part`: finished. `leftover`: of a set-up that was cut off or is going on, or of another version of delta-dit. */
  readonly kind: 'part' | 'leftover';
  /** "2.21.0" and what it is made for, of a finished one. */
  readonly tensorflow?: string;
  readonly device?: string;
  /** Whether a tfjs-node that is seen from here uses it. */
  readonly linked: boolean;
}

/** Where `setup-native` keeps what it makes, once per user. */
export interface NativePartsCheck extends Finding {
  readonly folder: string;
  readonly parts: readonly NativePart[];
}

export async function checkNativeParts(userFolder: string, cacheDir: string | undefined): Promise<NativePartsCheck> {
  const folder = nativeFolder(cacheDir);
  const names = await readdir(folder).catch(() => []);
  if (names.length === 0) return { folder, parts: [], status: 'absent', problem: 'is empty' };
  const addons = await Promise.all(findTfjsNode(userFolder).map(({ addon }) => realpath(addon).catch(() => '')));
  const root = await realpath(folder);
  const parts = await Promise.all(
    names.sort().map(async (name): Promise<NativePart> => {
      const linked = addons.some((addon) => addon.startsWith(join(root, name) + sep));
      return { name, bytes: await sizeOf(join(folder, name)), linked, ...identify(folder, name) };
    }),
  );
  return { folder, parts, ...verdict(folder, parts) };
}

function identify(folder: string, name: string): Pick<NativePart, 'kind' | 'tensorflow' | 'device'> {
  const [, tensorflow, device] = /^(\d+\.\d+\.\d+)-(cpu|gpu)-\w+-napi\d+$/.exec(name) ?? [];
  if (tensorflow === undefined || device === undefined || !existsSync(join(folder, name, ADDON_PATH))) {
    return { kind: 'leftover' };
  }
  return { kind: 'part', tensorflow, device };
}

function verdict(folder: string, parts: readonly NativePart[]): Finding {
  const unused = parts.filter(({ kind, linked }) => kind === 'leftover' && !linked);
  if (unused.length === 0) return OK;
  const isCutOff = unused.some(({ name }) => name.startsWith(UNFINISHED) || name.endsWith(WHEELS));
  const paths = unused.map(({ name }) => join(folder, name)).join(' ');
  const advice = isCutOff ? 'Run the set-up again, which goes on from there, or free' : 'Free';
  return {
    status: 'warning',
    problem: `${unused.map(({ name }) => name).join(', ')}: left over`,
    fix: `${advice} the space: \`rm -r ${paths}\`.`,
  };
}

/** Bytes of all files below; a file that vanishes meanwhile counts nothing. */
async function sizeOf(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(
    [path, ...files].map((file) =>
      lstat(file).then(
        (stats) => (stats.isFile() ? stats.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
