import type { ByteSource } from './byte-source.ts';
import type { CheckpointFolder } from './folder.ts';

/** A checkpoint's file that is not known by a path: a Blob, or what a browser keeps. */
export interface CheckpointFile {
  /** Shown in errors. */
  readonly name: string;
  open(): Promise<ByteSource>;
}

/** Where a checkpoint is: a path on disk, or its file or folder, wherever that is kept. */
export type CheckpointLocation = string | CheckpointFile | CheckpointFolder;

/** What a location leads to. */
export type Located =
  | { readonly kind: 'absent' }
  | { readonly kind: 'file'; readonly file: CheckpointFile }
  | { readonly kind: 'folder'; readonly folder: CheckpointFolder };

/** Looks whether a location is a file or a folder. There are paths in Node only. */
export async function locate(location: CheckpointLocation): Promise<Located> {
  if (typeof location === 'string') {
    const { locatePath } = await import('#src/checkpoint/locate-path');
    return locatePath(location);
  }
  return 'has' in location ? { kind: 'folder', folder: location } : { kind: 'file', file: location };
}

/** The file at a location. @throws FileError when there is none */
export async function openFile(location: CheckpointLocation): Promise<ByteSource> {
  if (typeof location !== 'string' && !('has' in location)) return location.open();
  const { openPath } = await import('#src/checkpoint/locate-path');
  return openPath(locationName(location));
}

/** As shown in errors. */
export function locationName(location: CheckpointLocation): string {
  return typeof location === 'string' ? location : location.name;
}
