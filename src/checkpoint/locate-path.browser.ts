import { FileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import type { Located } from './location.ts';

/** A page has no paths. @throws FileError */
export async function locatePath(path: string): Promise<Located> {
  throw noPaths(path);
}

/** @throws FileError */
export async function openPath(path: string): Promise<ByteSource> {
  throw noPaths(path);
}

function noPaths(path: string): FileError {
  return new FileError(
    `${path}: a browser reads no paths; give the URL of a converted folder to fromPretrained, or a file as blobFile(file)`,
  );
}
