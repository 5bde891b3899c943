import { execFile } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as tf from '@tensorflow/tfjs-core';
import { checkWhole } from '../cache/stage-planner.ts';
import { checkAborted } from '../pipelines/sample.ts';
import { type Spread, spreadOf } from './spread.ts';

/** A checkpoint that is loaded again and again. */
export interface LoadSubject {
  /** All that a load reads. */
  readonly files: readonly string[];
  load(): Promise<{ dispose(): void }>;
}

export interface LoadReport {
  readonly rounds: number;
  /** Of the files. */
  readonly bytes: number;
  /** Speed of loading ÷ speed of reading the same files, of the rounds. */
  readonly speedRatio: Spread;
  readonly loadSeconds: Spread;
  readonly readSeconds: Spread;
  /** Whether the files were taken out of the system's cache before each reading, as far as can be told. */
  readonly cacheDropped: boolean;
  /** Of tensors, once loaded. */
  readonly heldBytes: number;
  /** Most memory of the process above what it had before, in the first round. */
  readonly peakBytes: number;
}

const MAX_ROUNDS = 1000;

/**
 * Times loading against reading the same bytes from the same disk, one right after the other in alternating order.
 * @throws OptionError for rounds out of range; AbortError when stopped between rounds; what loading throws
 */
export async function benchLoad(subject: LoadSubject, rounds: number, signal?: AbortSignal): Promise<LoadReport> {
  checkWhole('rounds', rounds, 1, MAX_ROUNDS, 'timed loads');
  const first = await measuredLoad(subject); // memory before anything else has grown it
  const [loads, reads]: [number[], number[]] = [[], []];
  let cacheDropped = true;
  for (let round = 0; round < rounds; round++) {
    checkAborted(signal, `before round ${round + 1} of ${rounds}`);
    for (const what of round % 2 === 0 ? ['read', 'load'] : ['load', 'read']) {
      cacheDropped = (await dropCaches(subject.files)) && cacheDropped;
      if (what === 'read') reads.push(await readSeconds(subject.files));
      else loads.push((await measuredLoad(subject)).seconds);
    }
  }
  return {
    ...{ rounds, cacheDropped, heldBytes: first.heldBytes, peakBytes: first.peakBytes },
    bytes: await totalBytes(subject.files),
    speedRatio: spreadOf(reads.map((seconds, i) => seconds / (loads[i] ?? Number.NaN))),
    ...{ loadSeconds: spreadOf(loads), readSeconds: spreadOf(reads) },
  };
}

async function measuredLoad(subject: LoadSubject): Promise<{ seconds: number; heldBytes: number; peakBytes: number }> {
  collectGarbage(); // what made the checkpoint would count as idle, and be given back while it is loaded
  const [rss, held] = [process.memoryUsage.rss(), tf.memory().numBytes];
  await forgetPeak();
  const start = performance.now();
  const loaded = await subject.load();
  const seconds = (performance.now() - start) / 1000;
  const heldBytes = tf.memory().numBytes - held;
  const peakBytes = Math.max(0, (await peakRss()) - rss);
  loaded.dispose();
  return { seconds, heldBytes, peakBytes };
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc === 'function') gc();
}

const CHUNK = 8 * 2 ** 20;

async function readSeconds(files: readonly string[]): Promise<number> {
  const buffer = new Uint8Array(CHUNK);
  const start = performance.now();
  for (const path of files) {
    const file = await open(path, 'r');
    try {
      while ((await file.read(buffer, 0, CHUNK)).bytesRead > 0);
    } finally {
      await file.close();
    }
  }
  return (performance.now() - start) / 1000;
}

async function totalBytes(files: readonly string[]): Promise<number> {
  let total = 0;
  for (const path of files) {
    const file = await open(path, 'r');
    total += (await file.stat().finally(() => file.close())).size;
  }
  return total;
}

const run = promisify(execFile);

/** Whether no page of the files is left in memory, where util-linux and GNU dd can tell and bring it about. */
async function dropCaches(files: readonly string[]): Promise<boolean> {
  for (const path of files) {
    try {
      // fsync first: pages that are not yet on disk stay
      await run('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']);
      const { stdout } = await run('fincore', ['--bytes', '--noheadings', '--output', 'RES', path]);
      if (Number(stdout.trim()) > 0) return false;
    } catch {
      return false;
    }
  }
  return true;
}

/** Linux counts a process's peak anew after this; elsewhere the peak is that since its start. */
async function forgetPeak(): Promise<void> {
  await writeFile('/proc/self/clear_refs', '5').catch(() => {});
}

/** Bytes. */
async function peakRss(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const [, kibibytes] = /^VmHWM:\s*(\d+) kB/m.exec(status) ?? [];
  return 1024 * Number(kibibytes ?? process.resourceUsage().maxRSS);
}
