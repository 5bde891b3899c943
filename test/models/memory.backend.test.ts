import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../../src/checkpoint/archive.ts';
import type { AutoencoderKLConfig } from '../../src/models/autoencoder-config.ts';
import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { DiT } from '../../src/models/dit.ts';
import type { DiTConfig } from '../../src/models/dit-config.ts';
import { decoderMemory, decodesInTiles, ditMemory, peakBytes, pixArtMemory } from '../../src/models/memory.ts';
import { PixArt } from '../../src/models/pixart.ts';
import { PIXART_XL_2, type PixArtConfig } from '../../src/models/pixart-config.ts';
import { ATTENTION_MEMORY_BUDGET } from '../../src/ops/attention.ts';
import { composed } from '../support/fused.ts';
import { peakBufferBytes } from '../support/peak-buffers.ts';
import { randomArchive, randomTensor } from '../support/random-weights.ts';

const DIT: DiTConfig = {
  hiddenSize: 64,
  depth: 2,
  numHeads: 4,
  patchSize: 2,
  mlpRatio: 4,
  inChannels: 4,
  outChannels: 8,
  inputSize: 16,
  numClasses: 10,
  frequencyShift: 0,
  normEps: 1e-6,
};
const VAE: AutoencoderKLConfig = {
  blockOutChannels: [16, 32, 64],
  layersPerBlock: 1,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 8,
  scalingFactor: 1,
};

/** Estimates leave out vectors and the model's own input, and count a block's copies where a backend needs none. */
function expectClose(estimate: number, measured: number): void {
  expect(estimate).toBeGreaterThan(0.95 * measured);
  expect(estimate).toBeLessThan(1.15 * measured);
}

describe('ditMemory', () => {
  it.each([
    ['the MLP is largest', DIT],
    ['the scores are largest: many tokens for the width', { ...DIT, hiddenSize: 32, inputSize: 32, numHeads: 8 }],
  ])('is what a forward holds, where %s', async (_, config) => {
    const samples = 4;
    const archive = randomArchive(DiT.parameterShapes(config));
    const dit = await withWeights(archive, (weights) => DiT.fromWeights(config, weights));
    const x = randomTensor<tf.Tensor4D>([samples, config.inputSize, config.inputSize, 4], 1);
    const forward = async () => (await dit.predict(x, Array(samples).fill(500), Array(samples).fill(1))).dispose();
    const { weights, activations } = ditMemory(config, samples);
    expectClose(activations, await composed(() => peakBufferBytes(forward)));
    expect(await peakBufferBytes(forward)).toBeLessThan(1.05 * activations); // fused, where the backend can
    expect(weights).toBe(4 * dit.countParams());
    dit.dispose();
    x.dispose();
  });

  it('grows with the samples, and the weights do not', () => {
    const [one, eight] = [ditMemory(DIT, 1), ditMemory(DIT, 8)];
    expect(eight).toEqual({ weights: one.weights, activations: 8 * one.activations });
  });
});

const PIXART: PixArtConfig = {
  ...DIT,
  captionChannels: 32,
  interpolationScale: 1,
  microConditions: false,
};

describe('pixArtMemory', () => {
  it.each([
    ['the MLP is largest', PIXART, { height: 16, width: 12, captionLength: 20 }],
    [
      'the scores are largest',
      { ...PIXART, hiddenSize: 32, numHeads: 8 },
      { height: 32, width: 24, captionLength: 20 },
    ],
    [
      'those of the caption are',
      { ...PIXART, hiddenSize: 16, numHeads: 8 },
      { height: 8, width: 8, captionLength: 200 },
    ],
    ['the caption itself is', { ...PIXART, captionChannels: 4096 }, { height: 8, width: 8, captionLength: 120 }],
  ])('is what a run holds at once, where %s', async (_, config, setting) => {
    const samples = 4;
    const archive = randomArchive(PixArt.parameterShapes(config));
    const pixart = await withWeights(archive, (weights) => PixArt.fromWeights(config, weights));
    const x = randomTensor<tf.Tensor4D>([samples, setting.height, setting.width, 4], 1);
    const mask = tf.ones<tf.Rank.R2>([samples, setting.captionLength]);
    const run = async () => {
      const embeds = randomTensor<tf.Tensor3D>([samples, setting.captionLength, config.captionChannels], 2);
      const caption = pixart.projectCaption(embeds, mask);
      (await pixart.predict(x, Array(samples).fill(500), caption)).dispose();
      tf.dispose([embeds, caption.tokens, caption.bias]);
    };
    const { weights, activations } = pixArtMemory(config, samples, setting);
    expectClose(activations, await composed(() => peakBufferBytes(run)));
    expect(await peakBufferBytes(run)).toBeLessThan(1.05 * activations);
    expect(weights).toBe(4 * pixart.countParams());
    pixart.dispose();
    tf.dispose([x, mask]);
  });

  it('keeps the scores of 1024 px within the budget of attention', () => {
    const config = { ...PIXART_XL_2, inputSize: 128, interpolationScale: 2, microConditions: true };
    const { activations } = pixArtMemory({ ...config, mlpRatio: 0 }, 2);
    const stream = 4 * 2 * 4096 * 1152;
    expect(activations).toBeGreaterThan(11 * stream + ATTENTION_MEMORY_BUDGET);
    expect(activations).toBeLessThan(12 * stream + ATTENTION_MEMORY_BUDGET);
  });
});

describe('decoderMemory', () => {
  it.each([
    ['the last level is largest', VAE, 8, 12],
    ['the scores of the attention are largest', { ...VAE, blockOutChannels: [8, 8, 16] }, 24, 24],
  ])('is what decoding one picture holds, where %s', async (_, config, height, width) => {
    const vae = await withWeights(randomArchive(AutoencoderKL.parameterShapes(config)), (weights) =>
      AutoencoderKL.fromWeights(config, weights),
    );
    const z = randomTensor<tf.Tensor4D>([1, height, width, 4], 1);
    const decode = () => vae.decode(z).dispose();
    const { activations } = decoderMemory(config, height, width);
    expectClose(activations, await composed(() => peakBufferBytes(decode)));
    expect(await peakBufferBytes(decode)).toBeLessThan(1.05 * activations);
    vae.dispose();
    z.dispose();
  });

  it('is what decoding in bands holds, where whole it would take more than the budget', async () => {
    const vae = await withWeights(randomArchive(AutoencoderKL.parameterShapes(VAE)), (weights) =>
      AutoencoderKL.fromWeights(VAE, weights),
    );
    const [height, width, tileBudgetBytes] = [8, 12, 150_000];
    const z = randomTensor<tf.Tensor4D>([1, height, width, 4], 1);
    const decode = async () => (await vae.decodeTiled(z, { tileBudgetBytes })).dispose();
    const { activations } = decoderMemory(VAE, height, width, tileBudgetBytes);
    expectClose(activations, await composed(() => peakBufferBytes(decode)));
    expect(await peakBufferBytes(decode)).toBeLessThan(1.05 * activations);
    expect(activations).toBeLessThan(0.5 * decoderMemory(VAE, height, width).activations);
    vae.dispose();
    z.dispose();
  });

  it('bounds Stable Diffusion at 1024 px, bands or attention tiles included', () => {
    const config = { ...VAE, blockOutChannels: [128, 256, 512, 512], layersPerBlock: 2, normNumGroups: 32 };
    const GIB = 2 ** 30;
    expect(decoderMemory(config, 128, 128, Number.POSITIVE_INFINITY).activations).toBe(4 * GIB);
    expect(decoderMemory(config, 128, 128).activations).toBe(1.25 * GIB);
    expect(decodesInTiles(config, 128, 128)).toBe(true);
    expect(decodesInTiles(config, 16, 16)).toBe(false);
  });
});

describe('peakBytes', () => {
  it('adds all weights, as often as they are held, and the largest forward', () => {
    const models = [
      { weights: 100, activations: 7 },
      { weights: 20, activations: 9 },
    ];
    expect(peakBytes(models)).toBe(129);
    expect(peakBytes(models, 2)).toBe(249);
  });
});
