import type { ByteSource } from './byte-source.ts';

/** Of the content of a file; for what git keeps itself, of the git blob, which has a header. */
export interface Checksum {
  readonly algorithm: 'sha256' | 'git-sha1';
  readonly hex: string;
}

/** What git puts before the content of a file of so many bytes. */
export function gitHeader(bytes: number): string {
  return `blob ${bytes}\0`;
}

/**
 * The checksum of a whole source, in hexadecimal. In a browser all of it is in memory at once.
 * @param onBytes told how many more bytes have been read
 */
export async function checksumOf(
  source: ByteSource,
  algorithm: Checksum['algorithm'],
  onBytes: (bytes: number) => void = () => {},
): Promise<string> {
  const { hashSource } = await import('#src/checkpoint/hash-source');
  return hashSource(source, algorithm, onBytes);
}

/** @throws FileError where nothing can be checked: in pages that came over plain HTTP. */
export async function assertChecksums(where: string): Promise<void> {
  const { assertHashing } = await import('#src/checkpoint/hash-source');
  assertHashing(where);
}
