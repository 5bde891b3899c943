import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {
  CheckpointError,
  convertCheckpoint,
  DiTPipeline,
  deltaDiT,
  FileError,
  loadAutoencoder,
  OptionError,
} from '../src/index.ts';
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

describe('loadAutoencoder', () => {
  it('opens a folder of any layout or a file, encodes and decodes, and leaks nothing', async () => {
    const roundTrip = async (path: string, options: Parameters<typeof loadAutoencoder>[1]) => {
      const vae = await loadAutoencoder(path, { encoder: true, ...options });
      const image = tf.ones([1, 8, 12, 3]) as tf.Tensor4D;
      const [latents, decoded] = tf.tidy(() => {
        const encoded = vae.encode(image);
        return [encoded, vae.decode(encoded)] as const;
      });
      expect([latents.shape, decoded.shape]).toEqual([[1, 4, 6, 4], image.shape]);
      const values = Array.from(await latents.data());
      tf.dispose([image, latents, decoded]);
      vae.dispose();
      return values;
    };
    const fromFolder = await expectNoLeak(() => roundTrip(FOLDER, {}));
    expect(await expectNoLeak(() => roundTrip(`${FOLDER}/vae`, {}))).toEqual(fromFolder);
    expect(await expectNoLeak(() => roundTrip(converted, {}))).toEqual(fromFolder);
    const file = `${FOLDER}/vae/diffusion_pytorch_model.safetensors`;
    expect(await expectNoLeak(() => roundTrip(file, { vaeNormGroups: 8 }))).toEqual(fromFolder);
  });

  it('frees everything when there is no autoencoder', async () => {
    await expectCleanFailure(() => loadAutoencoder(join(scratch, 'nothing')), FileError, /no such file or folder/);
    await expectCleanFailure(() => loadAutoencoder(`${PARITY}/dit-tiny.pt`), CheckpointError, /holds no AutoencoderKL/);
  });
});
