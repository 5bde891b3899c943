import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { TFJS_VERSION } from '../backends/backend.ts';
import { type Finding, OK } from './finding.ts';

export interface PackageCheck extends Finding {
  readonly name: string;
  /** The version that delta-dit is made for. */
  readonly expected: string;
  /** Every copy that would be loaded: by this library, from the user's folder, or by a tfjs-node. There should be one. */
  readonly copies: readonly PackageCopy[];
}

export interface PackageCopy {
  readonly version: string;
  readonly folder: string;
}

const PEERS = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers', '@tensorflow/tfjs'] as const;

/**
 * Whether everything shares one tfjs of the right version: a backend that registers itself in a second copy is not
 * found, and tensors and layers of a second copy are not recognised.
 * @param folders from which users of tfjs load it, besides this library
 */
export function checkPackages(folders: readonly string[]): PackageCheck[] {
  const places = [createRequire(import.meta.url), ...folders.map((folder) => createRequire(join(folder, 'index.js')))];
  // A package manager may hide tfjs-core from those who do not list it: then it is seen through tfjs.
  const through = places.flatMap((place) => {
    const tfjs = locate('@tensorflow/tfjs', place);
    return tfjs ? [createRequire(join(tfjs.folder, 'index.js'))] : [];
  });
  return PEERS.map((name) => judge(name, [...places, ...through]));
}

function judge(name: string, places: readonly NodeJS.Require[]): PackageCheck {
  const copies = new Map<string, PackageCopy>();
  for (const place of places) {
    const copy = locate(name, place);
    if (copy) copies.set(copy.folder, copy);
  }
  return { name, expected: TFJS_VERSION, copies: [...copies.values()], ...verdict(name, [...copies.values()]) };
}

function verdict(name: string, copies: readonly PackageCopy[]): Finding {
  const install = `\`npm install ${name}@${TFJS_VERSION}\``;
  if (copies.length === 0) return { status: 'failed', problem: 'is not installed', fix: `Run ${install}.` };
  const other = copies.find(({ version }) => version !== TFJS_VERSION);
  if (other) {
    const problem = `version ${other.version} in ${other.folder}, and delta-dit needs ${TFJS_VERSION}`;
    return { status: 'failed', problem, fix: `Run ${install}.` };
  }
  if (copies.length === 1) return OK;
  const where = copies.map(({ folder }) => folder).join(' and ');
  const problem = `${copies.length} copies (${where}): tensors of one are unknown to the other`;
  return { status: 'warning', problem, fix: 'Run `npm dedupe`.' };
}

function locate(name: string, place: NodeJS.Require): PackageCopy | undefined {
  try {
    const manifest = place.resolve(`${name}/package.json`);
    const { version } = place(manifest) as { version: string };
    return { version, folder: realpathSync(dirname(manifest)) };
  } catch {
    return undefined;
  }
}
