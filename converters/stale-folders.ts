import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive } from '../src/checkpoint/process-alive.ts';

/** What stood at `out` before, for the moment in which the new folder takes its place. */
export const SET_ASIDE = '.old';

/** Where the folder `out` is written until it is whole. */
export function partialFolder(out: string, pid = process.pid): string {
  return join(dirname(out), `.${basename(out)}.partial-${pid}`);
}

/**
 * Clears away what this process, or one that was killed, left beside `out`. What it had set aside goes back to its
 * place, if the new folder did not arrive there.
 */
export async function clearStale(out: string): Promise<void> {
  const parent = dirname(out);
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    const pid = Number(/\.partial-(\d+)(?:\.old)?$/.exec(name)?.[1]);
    const path = join(parent, name);
    const ours = [partialFolder(out, pid), `${partialFolder(out, pid)}${SET_ASIDE}`].includes(path);
    if (!ours || (pid !== process.pid && isAlive(pid))) continue;
    if (path.endsWith(SET_ASIDE) && !(await exists(out))) await rename(path, out);
    else await rm(path, { recursive: true, force: true });
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
