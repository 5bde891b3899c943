import { assertInside, type ByteSource } from '../../src/checkpoint/byte-source.ts';

/** Bytes in memory as a source that knows whether it was closed. */
export function bytesSource(bytes: Uint8Array, name = 'test.bin'): ByteSource & { closed: boolean } {
  const source = {
    name,
    size: bytes.length,
    closed: false,
    async read(offset: number, length: number) {
      assertInside(source, offset, length);
      return bytes.slice(offset, offset + length);
    },
    async close() {
      source.closed = true;
    },
  };
  return source;
}
