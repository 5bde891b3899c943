import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { StoredChecksum } from '../../src/checkpoint/stored-tensor.ts';

/** Names of the pieces whose bytes have not the checksum that is said. @param content of the file; read where left out */
export function damagedPieces(checksums: readonly StoredChecksum[] | undefined, content?: Uint8Array): string[] {
  const pieces = checksums ?? [];
  return pieces
    .filter(({ file, offset, bytes, crc32: said }) => {
      const whole = content ?? readFileSync(file);
      return offset + bytes > whole.length || crc32(whole.subarray(offset, offset + bytes)) !== said;
    })
    .map(({ name }) => name);
}
