import type * as tf from '@tensorflow/tfjs-core';
import { type WeightScope, Weights } from '../../src/checkpoint/weights.ts';
import { LabelEmbedder, PatchEmbed, TimestepEmbedder } from '../../src/layers/embedders.ts';
import { Linear } from '../../src/layers/linear.ts';
import { silu } from '../../src/ops/activations.ts';
import { relativeL2 } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';
import { BOTH_NUMERICS, withTinyCheckpoint } from '../support/tiny-dit.ts';

const PER_LAYER = 1e-5;
const hiddenSize = 48;

let fixture: Fixture;
beforeAll(async () => {
  fixture = await readFixture('dit-tiny.safetensors');
});

/** The tiny DiT's weights under one path. */
function loadScope(path: string): Promise<WeightScope> {
  return withTinyCheckpoint(async ({ transformer }) => {
    const weights = new Weights(transformer.archive);
    await weights.load(path);
    return weights.scope(path);
  });
}

describe("layers against PyTorch's, stage by stage", () => {
  it('PatchEmbed', async () => {
    const layer = new PatchEmbed({ patchSize: 2, inChannels: 4, hiddenSize }, await loadScope('x_embedder'));
    layer.build();
    expect(await relativeL2(layer.call(fixture.nhwc('input.latents')), fixture.tensor('patches'))).toBeLessThan(
      PER_LAYER,
    );
  });

  it('LabelEmbedder, the null row included', async () => {
    const layer = new LabelEmbedder({ numClasses: 7, hiddenSize }, await loadScope('y_embedder'));
    layer.build();
    expect(await relativeL2(layer.embed(fixture.numbers('input.labels')), fixture.tensor('labelEmbedding'))).toBe(0);
  });

  it.each([
    ['original', 0],
    ['diffusers', 1],
  ] as const)('TimestepEmbedder as %s, frequency shift %d', async (numerics, frequencyShift) => {
    const layer = new TimestepEmbedder({ hiddenSize, frequencyShift }, await loadScope('t_embedder'));
    layer.build();
    const got = layer.embed(fixture.numbers('input.timesteps'));
    expect(await relativeL2(got, fixture.tensor(`${numerics}.timeEmbedding`))).toBeLessThan(PER_LAYER);
  });

  it('Linear: the modulation of a block', async () => {
    const path = 'blocks.1.adaLN_modulation.1';
    const layer = new Linear({ inFeatures: hiddenSize, outFeatures: 6 * hiddenSize }, await loadScope(path));
    layer.build();
    for (const numerics of BOTH_NUMERICS) {
      const cond = fixture.tensor<tf.Tensor2D>(`${numerics}.conditioning`);
      expect(await relativeL2(layer.call(silu(cond)), fixture.tensor(`${numerics}.block1.modulation`))).toBeLessThan(
        PER_LAYER,
      );
    }
  });
});
