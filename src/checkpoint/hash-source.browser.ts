import { FileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { type Checksum, gitHeader } from './checksum.ts';

/** As `checksumOf`; WebCrypto hashes no streams. */
export async function hashSource(
  source: ByteSource,
  algorithm: Checksum['algorithm'],
  onBytes: (bytes: number) => void,
): Promise<string> {
  const header = new TextEncoder().encode(algorithm === 'sha256' ? '' : gitHeader(source.size));
  const hashed = new Uint8Array(header.length + source.size);
  hashed.set(header);
  const content = hashed.subarray(header.length);
  const read = await source.read(0, source.size, content);
  if (read.buffer !== hashed.buffer) content.set(read);
  onBytes(source.size);
  const digest = await crypto.subtle.digest(algorithm === 'sha256' ? 'SHA-256' : 'SHA-1', hashed);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @throws FileError where the browser has no WebCrypto. */
export function assertHashing(where: string): void {
  if (globalThis.crypto?.subtle) return;
  throw new FileError(
    `${where}: cannot be checked, because this page (${globalThis.location?.origin}) is no secure context and has no WebCrypto; serve it over https or from localhost`,
  );
}
