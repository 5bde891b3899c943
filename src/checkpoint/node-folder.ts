import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openFolderFile } from './file-source.ts';
import type { CheckpointFolder } from './folder.ts';

/** A folder on disk. Loaded by dynamic import, because it needs Node. */
export function nodeFolder(path: string): CheckpointFolder {
  return {
    name: path,
    has: async (file) => (await pathKind(join(path, file))) === 'file',
    open: (file) => openFolderFile(path, file),
    at: (folder) => nodeFolder(join(path, folder)),
  };
}

export async function pathKind(path: string): Promise<'file' | 'folder' | 'absent'> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return 'absent';
  return found.isDirectory() ? 'folder' : 'file';
}
