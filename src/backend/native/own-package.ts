import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this library itself, the nearest above this file with its package.json; undefined in a bundle. */
export function ownFolder(start: string = dirname(fileURLToPath(import.meta.url))): string | undefined {
  if (nameOf(start) === 'delta-dit') return start;
  const parent = dirname(start);
  return parent === start ? undefined : ownFolder(parent);
}

/** Whether the library is worked on where it lies, and not installed into some node_modules. */
export function isCheckout(own: string): boolean {
  return basename(dirname(own)) !== 'node_modules';
}

/** How this program is called from a shell: npx finds a local and a global installation, but not a checkout. */
export function programCall(): string {
  const own = ownFolder();
  return own !== undefined && isCheckout(own) ? 'node bin/delta-dit.mjs' : 'npx delta-dit';
}

function nameOf(folder: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string }).name;
  } catch {
    return undefined; // No package.json here: look above.
  }
}
