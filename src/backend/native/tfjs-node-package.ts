import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';

/** `@tensorflow/tfjs-node` or `-gpu` as it lies in some node_modules. */
export interface TfjsNodePackage {
  readonly name: string;
  readonly folder: string;
  readonly version: string;
  /** Where tfjs-node 4.22.0 looks for its native part on every Node from 12 on (N-API 8). */
  readonly addon: string;
}

/** With both installed and working, the GPU package is the one the user took the trouble to add. */
export const NAMES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** Every copy seen from this library and from the folder the user works in, best first. */
export function findTfjsNode(userFolder: string = process.cwd()): TfjsNodePackage[] {
  const places = [createRequire(import.meta.url), createRequire(join(userFolder, 'package.json'))];
  const found = new Map<string, TfjsNodePackage>();
  for (const name of NAMES) {
    for (const place of places) {
      const seen = locate(name, place);
      if (seen) found.set(seen.folder, seen);
    }
  }
  return [...found.values()];
}

/** Whether there is a native part; a link to a part that is gone does not count. */
export function hasNativePart({ addon }: TfjsNodePackage): boolean {
  return existsSync(addon);
}

/** Loads the package, which registers and starts the backend `tensorflow`. */
export function loadTfjsNode({ folder }: TfjsNodePackage): void {
  // TensorFlow reads this when its library is loaded; 3 leaves only fatal errors.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  restoreRemovedTypeChecks();
  createRequire(import.meta.url)(folder);
}

/** tfjs-node 4.22.0 calls two functions that Node 22 deprecates and Node 23 has removed. */
function restoreRemovedTypeChecks(): void {
  if (Number.parseInt(process.versions.node, 10) < 22) return;
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
}

function locate(name: string, place: NodeJS.Require): TfjsNodePackage | undefined {
  try {
    const manifest = place.resolve(`${name}/package.json`);
    const folder = dirname(manifest);
    const { version } = place(manifest) as { version: string };
    return { name, folder, version, addon: join(folder, 'lib', 'napi-v8', 'tfjs_binding.node') };
  } catch {
    return undefined;
  }
}
