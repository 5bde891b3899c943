import { FileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { type Checksum, gitHeader } from './checksum.ts';

/**
 * The checksum of a whole source, in hexadecimal. All of it is in memory at once, because WebCrypto hashes no streams.
 * @param onBytes told how many more bytes have been read
 */
export async function checksumOf(
  source: ByteSource,
  algorithm: Checksum['algorithm'],
  onBytes: (bytes: number) => void = () => {},
): Promise<string> {
  const header = new TextEncoder().encode(algorithm === 'sha256' ? '' : gitHeader(source.size));
  const content = await source.read(0, source.size);
  onBytes(content.length);
  const hashed = header.length > 0 ? joined(header, content) : (content as Uint8Array<ArrayBuffer>);
  const digest = await crypto.subtle.digest(algorithm === 'sha256' ? 'SHA-256' : 'SHA-1', hashed);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @throws FileError where the browser computes none. */
export function assertChecksums(where: string): void {
  if (globalThis.crypto?.subtle) return;
  throw new FileError(
    `${where}: cannot be checked, because this page (${globalThis.location?.origin}) is no secure context and has no WebCrypto; serve it over https or from localhost`,
  );
}

function joined(header: Uint8Array, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(header.length + content.length);
  whole.set(header);
  whole.set(content, header.length);
  return whole;
}
