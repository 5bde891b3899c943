import type * as tf from '@tensorflow/tfjs-core';
import { tensor2d } from '@tensorflow/tfjs-core';
import { type WeightScope, Weights } from '../../src/checkpoint/weights.ts';
import { RmsNorm } from '../../src/layers/rms-norm.ts';
import { T5Attention } from '../../src/layers/t5-attention.ts';
import { RelativeAttentionBias, TokenEmbedding } from '../../src/layers/t5-embeddings.ts';
import { T5FeedForward } from '../../src/layers/t5-feed-forward.ts';
import { keyMask } from '../../src/ops/relative-attention.ts';
import { relativeL2 } from '../support/compare.ts';
import type { Fixture } from '../support/fixtures.ts';
import { readT5Fixture, rowsOf, withTinyT5 } from '../support/tiny-t5.ts';

const PER_LAYER = 1e-5;
const hiddenSize = 24;
const LAYER = 'encoder.block.1.layer';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await readT5Fixture('encoder');
});
const reference = (name: string) => fixture.tensor<tf.Tensor3D>(name);

/** The tiny T5's weights under one path. */
function loadScope(path: string): Promise<WeightScope> {
  return withTinyT5(async ({ archive }) => {
    const weights = new Weights(archive);
    await weights.load(path);
    return weights.scope(path);
  });
}

describe("T5's layers against transformers', stage by stage", () => {
  it('TokenEmbedding, unscaled', async () => {
    const layer = new TokenEmbedding({ vocabSize: 40, hiddenSize }, await loadScope('shared'));
    layer.build();
    const { values, shape } = fixture.get('input.ids');
    const ids = tensor2d(Int32Array.from(values), shape as [number, number], 'int32');
    expect(await relativeL2(layer.call(ids), reference('embeddings'))).toBe(0);
  });

  it('RelativeAttentionBias', async () => {
    const path = 'encoder.block.0.layer.0.SelfAttention.relative_attention_bias';
    const layer = new RelativeAttentionBias({ numBuckets: 8, maxDistance: 10, numHeads: 4 }, await loadScope(path));
    layer.build();
    expect(await relativeL2(layer.ofLength(12), fixture.tensor('relativeBias'))).toBe(0);
  });

  it.each([
    ['layer.0', 'layer0', 'layer1.attentionNorm'],
    ['layer.1', 'layer1.afterAttention', 'layer1.feedForwardNorm'],
  ])('RmsNorm of %s', async (half, input, output) => {
    const layer = new RmsNorm(
      { features: hiddenSize, eps: 1e-6 },
      await loadScope(`encoder.block.1.${half}.layer_norm`),
    );
    layer.build();
    expect(await relativeL2(layer.call(reference(input)), reference(output))).toBeLessThan(PER_LAYER);
  });

  it('T5Attention, with the bias of the first layer and masks of every kind', async () => {
    const sizes = { hiddenSize, numHeads: 4, headDim: 8 };
    const layer = new T5Attention(sizes, await loadScope(`${LAYER}.0.SelfAttention`));
    layer.build();
    const mask = keyMask(rowsOf(fixture, 'input.mask'));
    const got = layer.call([reference('layer1.attentionNorm'), fixture.tensor('relativeBias'), mask]);
    expect(await relativeL2(got, reference('layer1.attention'))).toBeLessThan(PER_LAYER);
  });

  it('T5FeedForward, with the tanh approximation of GELU', async () => {
    const layer = new T5FeedForward({ hiddenSize, feedForwardSize: 40 }, await loadScope(`${LAYER}.1.DenseReluDense`));
    layer.build();
    const got = layer.call(reference('layer1.feedForwardNorm'));
    expect(await relativeL2(got, reference('layer1.feedForward'))).toBeLessThan(PER_LAYER);
  });
});
