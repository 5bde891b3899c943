import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { convertCheckpoint, DiTPipeline, deltaDiT, FileError, OptionError } from '../src/index.ts';
import { PARITY } from './support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from './support/memory.ts';

const FOLDER = `${PARITY}/dit-tiny-diffusers`;
const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-index-'));
const converted = join(scratch, 'converted');
const QUICK = { classLabels: 1, numInferenceSteps: 4, seed: 7 };

beforeAll(async () => {
  await convertCheckpoint({
    from: `${PARITY}/dit-tiny.pt`,
    out: converted,
    numHeads: 4,
    vae: FOLDER,
    dtype: 'float32',
  });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The picture of a checkpoint, opened as a user does, everything freed again. */
async function picture(
  path: string,
  options: Parameters<typeof DiTPipeline.fromPretrained>[1] = {},
): Promise<number[]> {
  const pipe = await DiTPipeline.fromPretrained(path, options);
  try {
    const { images } = await pipe.generate({ ...QUICK, cache: deltaDiT({ cachedBlocks: 1 }) });
    return Array.from(images[0]?.data ?? []);
  } finally {
    pipe.dispose();
  }
}

it('opens every layout, with the same picture by the same numerics, and leaks nothing', async () => {
  const numerics = 'original';
  const fromFile = await expectNoLeak(() => picture(`${PARITY}/dit-tiny.pt`, { numHeads: 4, vae: FOLDER }));
  expect(await expectNoLeak(() => picture(converted))).toEqual(fromFile);
  expect(await expectNoLeak(() => picture(FOLDER, { numerics }))).toEqual(fromFile);
  expect(await expectNoLeak(() => picture(FOLDER))).not.toEqual(fromFile);
});

it('frees everything when a checkpoint cannot be opened or used', async () => {
  await expectCleanFailure(
    () => DiTPipeline.fromPretrained(join(scratch, 'nothing')),
    FileError,
    /no such file or folder/,
  );
  await expectCleanFailure(() => DiTPipeline.fromPretrained(`${PARITY}/dit-tiny.pt`), OptionError, /give --vae/);
  await expectCleanFailure(
    () => picture(converted, { labels: join(scratch, 'no-labels.json') }),
    FileError,
    /no such file/,
  );
});

it('frees everything when a run is stopped', async () => {
  const pipe = await DiTPipeline.fromPretrained(converted);
  const before = tf.memory().numTensors;
  const stop = new AbortController();
  const work = pipe.generate({
    ...QUICK,
    signal: stop.signal,
    onStep: ({ step }) => (step === 1 ? stop.abort() : undefined),
  });
  await expect(work).rejects.toMatchObject({ name: 'AbortError' });
  expect(tf.memory().numTensors).toBe(before);
  pipe.dispose();
});
