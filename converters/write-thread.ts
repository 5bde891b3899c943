import { Thread } from './thread.ts';

/**
 * Each slice is hashed and written while it is in the processor's cache. Megabytes in one call take several times as long
 * where the file system takes pages as large as the call (ext4 since Linux 6.16).
 */
const WRITE = `
const { createHash } = require('node:crypto');
const { writeSync } = require('node:fs');
const SLICE = 2 ** 18;
const hashes = new Map();
function answer({ path, file, bytes }) {
  const hash = hashes.get(path) ?? createHash('sha256');
  hashes.set(path, hash);
  if (bytes === undefined) {
    hashes.delete(path);
    return hash.digest('hex');
  }
  for (let at = 0; at < bytes.length; at += SLICE) {
    const slice = bytes.subarray(at, at + SLICE);
    hash.update(slice);
    for (let done = 0; done < slice.length; ) done += writeSync(file, slice, done);
  }
}`;

interface Question {
  readonly path: string;
  /** What is to be written, and to which descriptor; without them, the sha256 is asked for. */
  readonly file?: number;
  readonly bytes?: Uint8Array;
}

/** Writes files, and takes their sha256 meanwhile, in a thread of its own. Needs Node. */
export class WriteThread {
  private readonly thread = new Thread<Question, string | undefined>(WRITE);

  /**
   * The next bytes of a file that is open; they are not changed until this is done.
   * @param file its descriptor
   * @throws the system's error
   */
  async write(path: string, file: number, bytes: Uint8Array): Promise<void> {
    await this.thread.ask({ path, file, bytes: shared(bytes) });
  }

  /** Of all that was written to a file. */
  async sha256(path: string): Promise<string> {
    return (await this.thread.ask({ path })) as string;
  }

  end(): Promise<void> {
    return this.thread.end();
  }
}

/** Memory that need not be copied to be written. */
export function allocateShared(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}

function shared(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  const copy = allocateShared(bytes.length);
  copy.set(bytes);
  return copy;
}
