import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Manifest } from '../src/checkpoint/manifest.ts';
import type { StoredChecksum } from '../src/checkpoint/stored-tensor.ts';
import { FileError, FormatError } from '../src/errors.ts';
import { HashThread } from './hash-thread.ts';

/** What is known of the files when `result` is there; `end` stops the work, whether it is done or not. */
export interface SourceDescription {
  /** Rejects with FileError when a file cannot be read; with FormatError naming a piece that is damaged. */
  readonly result: Promise<Manifest['source']>;
  end(): Promise<void>;
}

/** Bytes of all files together. @throws FileError when one is not there any more */
export async function sizeOfSources(paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) {
    const found = await stat(path).catch((cause) => {
      throw new FileError(`${path}: could not be read again (${cause.message})`, { cause });
    });
    bytes += found.size;
  }
  return bytes;
}

/**
 * Name, size and sha256 of the files that a conversion reads, found out beside it, and checksums of their pieces compared.
 * @param onBytes told how many more bytes have been read; the result rejects with what it throws
 */
export function describeSources(
  paths: readonly string[],
  checksums: readonly StoredChecksum[],
  onBytes: (bytes: number) => void = () => {},
): SourceDescription {
  const thread = new HashThread();
  const describeOne = async (path: string) => {
    const pieces = checksums.filter(({ file }) => resolve(file) === resolve(path));
    let known = 0;
    const onRead = (read: number) => {
      onBytes(read - known);
      known = read;
    };
    const { bytes, sha256, crc32s } = await thread.whole(path, pieces, onRead);
    onRead(bytes);
    for (const [i, piece] of pieces.entries()) assertIntact(piece, crc32s[i] ?? 0);
    return { name: basename(path), bytes, sha256 };
  };
  return { result: Promise.all(paths.map(describeOne)), end: () => thread.end() };
}

function assertIntact({ file, name, crc32 }: StoredChecksum, got: number): void {
  if (got === crc32) return;
  throw new FormatError(
    `${file}: ${name}: expected checksum ${hex(crc32)}, got ${hex(got)}; the file is damaged, get it again`,
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
