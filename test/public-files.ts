import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { unchecked } from './unchecked.ts';

const FOLDERS = [join(process.cwd(), '../shared/data'), process.env.DELTA_DIT_PUBLIC_FILES];

/** A public file or folder that is not part of the project; where it is absent, `check` is noted as not made. */
export function publicFile(path: string, check: string): string | undefined {
  const found = FOLDERS.map((folder) => folder && join(folder, path)).find((file) => file && existsSync(file));
  if (!found) unchecked(`${check} (needs ${path}; set DELTA_DIT_PUBLIC_FILES to its folder)`);
  return found || undefined;
}
