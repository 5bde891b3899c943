import type { ByteSource } from './byte-source.ts';
import { fileSource } from './file-source.ts';
import type { Located } from './location.ts';
import { nodeFolder, pathKind } from './node-folder.ts';

/** What a path on disk leads to. */
export async function locatePath(path: string): Promise<Located> {
  const kind = await pathKind(path);
  if (kind === 'absent') return { kind };
  if (kind === 'folder') return { kind, folder: nodeFolder(path) };
  return { kind, file: { name: path, open: () => fileSource(path) } };
}

/** @throws FileError as `fileSource` */
export function openPath(path: string): Promise<ByteSource> {
  return fileSource(path);
}
