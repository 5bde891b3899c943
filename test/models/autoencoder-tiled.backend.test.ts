import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openAutoencoder } from '../../converters/open-autoencoder.ts';
import { withWeights } from '../../src/checkpoint/archive.ts';
import { AbortError, OptionError, ShapeError } from '../../src/errors.ts';
import type { AutoencoderKLConfig } from '../../src/models/autoencoder-config.ts';
import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { psnrOf, relativeL2 } from '../support/compare.ts';
import { composed } from '../support/fused.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { peakBufferBytes } from '../support/peak-buffers.ts';
import { randomArchive, randomTensor } from '../support/random-weights.ts';

/** Channels that change between levels, so that resnets with and without a shortcut take part. */
const CONFIG: AutoencoderKLConfig = {
  blockOutChannels: [8, 16, 16],
  layersPerBlock: 1,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 4,
  scalingFactor: 0.5,
};

async function randomVae(config = CONFIG): Promise<AutoencoderKL> {
  const archive = randomArchive(AutoencoderKL.parameterShapes(config));
  return withWeights(archive, (weights) => AutoencoderKL.fromWeights(config, weights));
}

/** Runs `use` with both decodes of the same latents, and the number of bands. */
async function compare(vae: AutoencoderKL, z: tf.Tensor4D, tileBudgetBytes: number) {
  let bands = 0;
  const countBand = () => {
    bands++;
  };
  const [whole, tiled] = [vae.decode(z), await vae.decodeTiled(z, { tileBudgetBytes, betweenBands: countBand })];
  const distance = await relativeL2(tiled, whole);
  tf.dispose([whole, tiled]);
  return { distance, bands };
}

describe('AutoencoderKL.decodeTiled', () => {
  let vae: AutoencoderKL;
  beforeAll(async () => {
    vae = await randomVae();
  });
  afterAll(() => vae.dispose());

  // the stages of the decoder but the attention, which is one piece: conv_in, 2 + 6 resnets of two passes, 2 upsamplings,
  // norm, conv_out
  const PASSES = 1 + 2 * 8 + 2 + 2;

  it.each([
    ['one-row bands', [1, 3, 5, 4], 1],
    ['one-row bands of one column', [1, 4, 1, 4], 1],
    ['one-row latents', [1, 1, 3, 4], 1],
    ['bands of a few rows, which do not divide the height', [1, 7, 5, 4], 20_000],
    ['two bands and a rest', [1, 9, 4, 4], 60_000],
    ['two samples', [2, 5, 3, 4], 30_000],
  ] as const)('equals decode up to rounding: %s', async (_, shape, budget) => {
    const z = randomTensor<tf.Tensor4D>(shape, 3);
    const { distance, bands } = await compare(vae, z, budget);
    expect(distance).toBeLessThan(1e-5);
    expect(bands).toBeGreaterThan(PASSES);
    z.dispose();
  });

  it('takes every stage in one piece where the budget allows it', async () => {
    const z = randomTensor<tf.Tensor4D>([1, 3, 5, 4], 3);
    const { distance, bands } = await compare(vae, z, 2 ** 30);
    expect(distance).toBeLessThan(1e-6);
    expect(bands).toBe(PASSES);
    z.dispose();
  });

  it('keeps its digits where means are far from zero', async () => {
    const z = tf.tidy(() => tf.add(randomTensor([1, 5, 4, 4], 3), 300)) as tf.Tensor4D;
    expect((await compare(vae, z, 10_000)).distance).toBeLessThan(1e-5);
    z.dispose();
  });

  it("holds little more than twice a resnet's output, or its input, and the budget", async () => {
    const config = { ...CONFIG, blockOutChannels: [8, 16, 8, 8] };
    const deep = await randomVae(config);
    const [height, width, tileBudgetBytes] = [8, 6, 60_000];
    const z = randomTensor<tf.Tensor4D>([1, height, width, 4], 3);
    const whole = await composed(() => peakBufferBytes(() => deep.decode(z).dispose()));
    const tiled = await peakBufferBytes(async () => (await deep.decodeTiled(z, { tileBudgetBytes })).dispose());
    const held = 4 * height * 8 * (width * 8) * Math.max(2 * 8, 16);
    expect(tiled).toBeLessThan(held + 1.5 * tileBudgetBytes);
    expect(tiled).toBeLessThan(0.4 * whole);
    tf.dispose(z);
    deep.dispose();
  });

  it('leaves nothing behind but its result', async () => {
    await expectNoLeak(async () => {
      const z = randomTensor<tf.Tensor4D>([1, 4, 3, 4], 3);
      const before = tf.memory().numTensors;
      const image = await vae.decodeTiled(z, { tileBudgetBytes: 20_000 });
      expect(image.shape).toEqual([1, 16, 12, 3]);
      expect(tf.memory().numTensors).toBe(before + 1);
      tf.dispose([z, image]);
    });
  });

  it.each([0, 1, 5, 20, 100])('stops after a band when it is told to, and frees everything (%d)', async (last) => {
    const z = randomTensor<tf.Tensor4D>([1, 4, 3, 4], 3);
    let bands = 0;
    const betweenBands = () => {
      if (bands++ === last) throw new AbortError('stopped');
    };
    await expectCleanFailure(() => vae.decodeTiled(z, { tileBudgetBytes: 1, betweenBands }), AbortError, /stopped/);
    expect(bands).toBe(last + 1);
    z.dispose();
  });

  it('refuses other shapes and budgets, and leaks nothing', async () => {
    const z = tf.ones<tf.Rank.R4>([1, 4, 3, 3]);
    await expectCleanFailure(() => vae.decodeTiled(z), ShapeError, /AutoencoderKL latents: expected/);
    z.dispose();
    const fine = tf.ones<tf.Rank.R4>([1, 4, 3, 4]);
    for (const tileBudgetBytes of [0, -1, Number.NaN])
      await expectCleanFailure(
        () => vae.decodeTiled(fine, { tileBudgetBytes }),
        OptionError,
        /tileBudgetBytes: expected a number of bytes above 0, got/,
      );
    fine.dispose();
  });
});

describe('AutoencoderKL.decodeTiled on trained weights', () => {
  it('paints the same picture to more than 90 dB', async () => {
    const opened = await openAutoencoder({ vae: join(__dirname, '../../checkpoints/dit-emoji') });
    const vae = await AutoencoderKL.fromCheckpoint(opened).finally(() => opened.archive.close());
    const z = randomTensor<tf.Tensor4D>([1, 15, 11, vae.config.latentChannels], 5);
    const [whole, tiled] = [vae.decode(z), await vae.decodeTiled(z, { tileBudgetBytes: 200_000 })];
    const psnr = psnrOf(await tiled.data(), await whole.data());
    expect(psnr).toBeGreaterThan(90);
    tf.dispose([z, whole, tiled]);
    vae.dispose();
  });
});
