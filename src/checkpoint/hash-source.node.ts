import { createHash } from 'node:crypto';
import type { ByteSource } from './byte-source.ts';
import { type Checksum, gitHeader } from './checksum.ts';

const CHUNK_BYTES = 8 * 2 ** 20;

/** As `checksumOf`. */
export async function hashSource(
  source: ByteSource,
  algorithm: Checksum['algorithm'],
  onBytes: (bytes: number) => void,
): Promise<string> {
  const hash = algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(gitHeader(source.size));
  for (let at = 0; at < source.size; at += CHUNK_BYTES) {
    const chunk = await source.read(at, Math.min(CHUNK_BYTES, source.size - at));
    hash.update(chunk);
    onBytes(chunk.length);
  }
  return hash.digest('hex');
}

/** Node always can. */
export function assertHashing(_where: string): void {}
