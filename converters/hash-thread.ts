import { Worker } from 'node:worker_threads';
import { FileError } from '../src/errors.ts';

/** A sha256 takes about as long as all else that is done with the bytes, so it is taken in a thread beside it. */
const HASH = `
const { createHash } = require('node:crypto');
const { closeSync, openSync, readSync } = require('node:fs');
const { parentPort } = require('node:worker_threads');
const buffer = Buffer.allocUnsafe(2 ** 20);
const growing = new Map();
parentPort.on('message', ({ path, upTo, id }) => {
  try {
    if (!growing.has(path)) growing.set(path, { file: openSync(path, 'r'), hash: createHash('sha256'), bytes: 0 });
    const one = growing.get(path);
    while (upTo === null || one.bytes < upTo) {
      const most = upTo === null ? buffer.length : Math.min(buffer.length, upTo - one.bytes);
      const read = readSync(one.file, buffer, 0, most, one.bytes);
      if (read === 0) break;
      one.hash.update(buffer.subarray(0, read));
      one.bytes += read;
    }
    if (id === undefined) return;
    closeSync(one.file);
    growing.delete(path);
    parentPort.postMessage({ id, path, bytes: one.bytes, sha256: one.hash.digest('hex') });
  } catch (error) {
    parentPort.postMessage({ id, path, failure: error.message });
  }
});`;

export interface HashedFile {
  readonly bytes: number;
  readonly sha256: string;
}

/** `id` of the question, where an answer is waited for. */
type Answer = { readonly id?: number; readonly path: string } & (HashedFile | { readonly failure: string });

interface Waiting {
  readonly path: string;
  readonly resolve: (hashed: HashedFile) => void;
  readonly reject: (error: Error) => void;
}

/** Takes sha256 of files in a thread of its own. `end` stops it, whether it is done or not. */
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
    this.worker.postMessage({ path, upTo });
  }

  /** @param upTo its length; without it, all there is. @throws FileError when it cannot be read */
  whole(path: string, upTo?: number): Promise<HashedFile> {
    const id = this.asked++;
    const hashed = new Promise<HashedFile>((resolve, reject) => this.waiting.set(id, { path, resolve, reject }));
    hashed.catch(() => {}); // told when it is asked for
    this.worker.postMessage({ path, upTo: upTo ?? null, id });
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
    else waiting?.resolve({ bytes: answer.bytes, sha256: answer.sha256 });
  }
}
