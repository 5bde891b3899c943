import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { AbortError, OptionError } from '../../src/errors.ts';
import { benchLoad, type LoadSubject } from '../../src/lab/bench-load.ts';
import { expectNoLeak } from '../support/memory.ts';

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-load-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Loads a tensor of 1,000 numbers, and counts how often. */
function subject(): LoadSubject & { loads: number } {
  const files = ['one', 'two'].map((name) => join(scratch, name));
  for (const file of files) writeFileSync(file, Buffer.alloc(5000));
  const made = {
    files,
    loads: 0,
    load: async () => {
      made.loads++;
      return tf.ones([1000]);
    },
  };
  return made;
}

it('loads and reads in turn, and counts bytes', async () => {
  await expectNoLeak(async () => {
    const one = subject();
    const report = await benchLoad(one, 2);
    expect(one.loads).toBe(3); // the first is for memory
    expect(report).toMatchObject({ rounds: 2, bytes: 10_000, heldBytes: 4000 });
    expect(report.speedRatio.min).toBeGreaterThan(0);
    expect(report.peakBytes).toBeGreaterThanOrEqual(0);
    expect(typeof report.cacheDropped).toBe('boolean');
  });
});

it('refuses no rounds, and stops when asked', async () => {
  await expect(benchLoad(subject(), 0)).rejects.toThrow(OptionError);
  await expect(benchLoad(subject(), 1, AbortSignal.abort())).rejects.toThrow(AbortError);
});
