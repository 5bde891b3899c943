import { Worker } from 'node:worker_threads';
import type { StoredChecksum } from '../src/checkpoint/stored-tensor.ts';
import { FileError } from '../src/errors.ts';

/**
 * A sha256 takes about as long as all else that is done with the bytes, so it is taken in a thread beside it; and the CRC-32
 * of pieces, so that they are read once for both. `growing` files are read as far as they are written.
 */
const HASH = `
const { createHash } = require('node:crypto');
const { closeSync, openSync, readSync } = require('node:fs');
const { parentPort } = require('node:worker_threads');
const { crc32 } = require('node:zlib');
const buffer = Buffer.allocUnsafe(2 ** 20);
const growing = new Map();
function addTo(pieces, chunk, start) {
  for (const piece of pieces) {
    const from = Math.max(piece.offset - start, 0);
    const to = Math.min(piece.offset + piece.bytes - start, chunk.length);
    if (from < to) piece.crc32 = crc32(chunk.subarray(from, to), piece.crc32);
  }
}
function readOn(path, upTo, pieces) {
  if (!growing.has(path)) growing.set(path, { file: openSync(path, 'r'), hash: createHash('sha256'), bytes: 0 });
  const one = growing.get(path);
  while (one.bytes < upTo) {
    const read = readSync(one.file, buffer, 0, Math.min(buffer.length, upTo - one.bytes), one.bytes);
    if (read === 0) break;
    const chunk = buffer.subarray(0, read);
    one.hash.update(chunk);
    while (pieces.length > 0 && pieces[0].offset + pieces[0].bytes <= one.bytes) pieces.shift();
    const end = pieces.findIndex(({ offset }) => offset >= one.bytes + read);
    addTo(end < 0 ? pieces : pieces.slice(0, end), chunk, one.bytes);
    one.bytes += read;
  }
  return one;
}
parentPort.on('message', ({ path, upTo, id, pieces }) => {
  try {
    const sums = pieces.map(({ offset, bytes }) => ({ offset, bytes, crc32: 0 }));
    const one = readOn(path, upTo, [...sums].sort((a, b) => a.offset - b.offset));
    if (id === undefined) return;
    closeSync(one.file);
    growing.delete(path);
    const crc32s = sums.map(({ crc32 }) => crc32);
    parentPort.postMessage({ id, path, bytes: one.bytes, sha256: one.hash.digest('hex'), crc32s });
  } catch (error) {
    parentPort.postMessage({ id, path, failure: error.message });
  }
});`;

export interface HashedFile {
  readonly bytes: number;
  readonly sha256: string;
  /** Of the pieces asked for, in their order. */
  readonly crc32s: readonly number[];
}

export interface HashOptions {
  /** The file's length. Default: all there is. */
  readonly upTo?: number | undefined;
  /** Parts of which a CRC-32 is wanted; they do not overlap. */
  readonly pieces?: readonly Pick<StoredChecksum, 'offset' | 'bytes'>[] | undefined;
}

/** `id` of the question, where an answer is waited for. */
type Answer = { readonly id?: number; readonly path: string } & (HashedFile | { readonly failure: string });

interface Waiting {
  readonly path: string;
  readonly resolve: (hashed: HashedFile) => void;
  readonly reject: (error: Error) => void;
}

/** Takes checksums of files in a thread of its own. `end` stops it, whether it is done or not. Needs Node. */
export class HashThread {
  private readonly worker = new Worker(HASH, { eval: true });
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;

  constructor() {
    this.worker.on('message', (answer: Answer) => this.receive(answer));
    this.worker.on('error', (cause) => {
      for (const [id, { path }] of [...this.waiting]) this.receive({ id, path, failure: cause.message });
    });
  }

  /** What has been written of a growing file so far may be read. */
  grownTo(path: string, upTo: number): void {
    this.worker.postMessage({ path, upTo, pieces: [] });
  }

  /** @throws FileError when the file cannot be read */
  whole(path: string, { upTo = Number.POSITIVE_INFINITY, pieces = [] }: HashOptions = {}): Promise<HashedFile> {
    const id = this.asked++;
    const hashed = new Promise<HashedFile>((resolve, reject) => this.waiting.set(id, { path, resolve, reject }));
    hashed.catch(() => {}); // told when it is asked for
    this.worker.postMessage({ path, upTo, id, pieces: pieces.map(({ offset, bytes }) => ({ offset, bytes })) });
    return hashed;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private receive(answer: Answer): void {
    if (answer.id === undefined) return; // of a growing file, which is asked for again
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ('failure' in answer)
      waiting?.reject(new FileError(`${answer.path}: could not be read again (${answer.failure})`));
    else waiting?.resolve(answer);
  }
}
