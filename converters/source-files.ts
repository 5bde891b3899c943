import { basename, resolve } from 'node:path';
import type { Manifest } from '../src/checkpoint/manifest.ts';
import type { StoredChecksum } from '../src/checkpoint/stored-tensor.ts';
import { FormatError } from '../src/errors.ts';
import type { HashThread } from './hash-thread.ts';

/**
 * Name, size and sha256 of the files that a conversion reads, found out beside it, and checksums of their pieces compared.
 * @throws FileError when one cannot be read; FormatError naming a piece that is damaged
 */
export async function describeSources(
  paths: readonly string[],
  checksums: readonly StoredChecksum[],
  thread: HashThread,
): Promise<Manifest['source']> {
  return Promise.all(
    paths.map(async (path) => {
      const pieces = checksums.filter(({ file }) => resolve(file) === resolve(path));
      const { bytes, sha256, crc32s } = await thread.whole(path, { pieces });
      for (const [i, piece] of pieces.entries()) assertIntact(piece, crc32s[i] ?? 0);
      return { name: basename(path), bytes, sha256 };
    }),
  );
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
