import type { StoredChecksum } from '../src/checkpoint/stored-tensor.ts';
import { FileError } from '../src/errors.ts';
import { Thread } from './thread.ts';

/** Pieces of the file are read once for their CRC-32 and the file's sha256. */
const HASH = `
const { createHash } = require('node:crypto');
const { closeSync, openSync, readSync } = require('node:fs');
const { crc32 } = require('node:zlib');
const buffer = Buffer.allocUnsafe(2 ** 20);
const TOLD_EVERY = 2 ** 24;
function addTo(pieces, chunk, start) {
  for (const piece of pieces) {
    const from = Math.max(piece.offset - start, 0);
    const to = Math.min(piece.offset + piece.bytes - start, chunk.length);
    if (from < to) piece.crc32 = crc32(chunk.subarray(from, to), piece.crc32);
  }
}
function answer({ path, pieces }, tell) {
  const sums = pieces.map(({ offset, bytes }) => ({ offset, bytes, crc32: 0 }));
  const ahead = [...sums].sort((a, b) => a.offset - b.offset);
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  let [bytes, told] = [0, 0];
  try {
    for (let read; (read = readSync(file, buffer, 0, buffer.length, bytes)) > 0; bytes += read) {
      const chunk = buffer.subarray(0, read);
      hash.update(chunk);
      while (ahead.length > 0 && ahead[0].offset + ahead[0].bytes <= bytes) ahead.shift();
      const end = ahead.findIndex(({ offset }) => offset >= bytes + read);
      addTo(end < 0 ? ahead : ahead.slice(0, end), chunk, bytes);
      if (bytes - told >= TOLD_EVERY) tell((told = bytes));
    }
  } finally {
    closeSync(file);
  }
  return { bytes, sha256: hash.digest('hex'), crc32s: sums.map(({ crc32 }) => crc32) };
}`;

export interface HashedFile {
  readonly bytes: number;
  readonly sha256: string;
  /** Of the pieces asked for, in their order. */
  readonly crc32s: readonly number[];
}

/** A part of a file, of which a CRC-32 is wanted; none overlaps another. */
type Piece = Pick<StoredChecksum, 'offset' | 'bytes'>;

/** Takes checksums of files in a thread of its own, for they take longer than all else that is done with the bytes. Needs Node. */
export class HashThread {
  private readonly thread = new Thread<{ path: string; pieces: readonly Piece[] }, HashedFile>(HASH);

  /**
   * @param onBytes told how many bytes have been read, now and then
   * @throws FileError when the file cannot be read; what `onBytes` throws
   */
  async whole(path: string, pieces: readonly Piece[] = [], onBytes?: (bytes: number) => void): Promise<HashedFile> {
    const parts = pieces.map(({ offset, bytes }) => ({ offset, bytes }));
    return this.thread.ask({ path, pieces: parts }, onBytes).catch((cause) => {
      if (!cause.code) throw cause;
      throw new FileError(`${path}: could not be read again (${cause.message})`, { cause });
    });
  }

  end(): Promise<void> {
    return this.thread.end();
  }
}
