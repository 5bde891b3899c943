import { basename } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Manifest } from '../src/checkpoint/manifest.ts';
import { FileError } from '../src/errors.ts';

/** Runs in a thread of its own: a sha256 takes about as long as all else that is done with the bytes. */
const HASH = `
const { createHash } = require('node:crypto');
const { closeSync, openSync, readSync } = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const buffer = Buffer.allocUnsafe(2 ** 20);
for (const path of workerData) {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  let bytes = 0;
  for (let read; (read = readSync(file, buffer)) > 0; bytes += read) hash.update(buffer.subarray(0, read));
  closeSync(file);
  parentPort.postMessage({ path, bytes, sha256: hash.digest('hex') });
}`;

interface Hashed {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What is known of the files when `result` is there; `end` stops the work, whether it is done or not. */
export interface SourceDescription {
  readonly result: Promise<Manifest['source']>;
  end(): Promise<void>;
}

/** Name, size and sha256 of the files that a conversion reads, found out beside it. */
export function describeSources(paths: readonly string[]): SourceDescription {
  const worker = new Worker(HASH, { eval: true, workerData: [...paths] });
  const described: Manifest['source'] = [];
  const result = new Promise<Manifest['source']>((resolve, reject) => {
    worker.on('message', ({ path, bytes, sha256 }: Hashed) => {
      described.push({ name: basename(path), bytes, sha256 });
    });
    worker.on('error', (cause) =>
      reject(new FileError(`${paths.join(', ')}: could not be read again (${cause.message})`, { cause })),
    );
    worker.on('exit', () => resolve(described));
  });
  result.catch(() => {}); // told when it is asked for
  return {
    result,
    end: async () => {
      await worker.terminate();
    },
  };
}
