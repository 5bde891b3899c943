import { withWeights } from '../../src/checkpoint/archive.ts';
import { T5_XXL, type T5EncoderConfig } from '../../src/models/t5-config.ts';
import { T5Encoder } from '../../src/models/t5-encoder.ts';
import { staysOnDisk, t5Memory } from '../../src/models/t5-memory.ts';
import { composed } from '../support/fused.ts';
import { peakBufferBytes } from '../support/peak-buffers.ts';
import { randomArchive } from '../support/random-weights.ts';

const T5: T5EncoderConfig = {
  ...T5_XXL,
  vocabSize: 31,
  hiddenSize: 32,
  depth: 2,
  numHeads: 4,
  headDim: 8,
  feedForwardSize: 80,
};

describe('t5Memory', () => {
  it.each([
    ['the feed-forward is largest', T5, 3, 40],
    ['the scores are largest', { ...T5, numHeads: 8, headDim: 4, feedForwardSize: 32 }, 3, 120],
    ['prompts come in groups', T5, 20, 120],
  ])('is what encoding holds at once, where %s', async (_, config, prompts, length) => {
    const encoder = await withWeights(randomArchive(T5Encoder.parameterShapes(config)), (weights) =>
      T5Encoder.fromWeights(config, weights),
    );
    const tokens = Array.from({ length: prompts }, (__, n) => ({
      inputIds: Array.from({ length }, (___, i) => (n + i) % 31),
      attentionMask: Array<number>(length).fill(1),
    }));
    const encode = async () => (await encoder.encode(tokens)).dispose();
    const measured = await composed(() => peakBufferBytes(encode));
    const { weights, activations } = t5Memory(config, prompts, length);
    expect(activations).toBeGreaterThan(0.95 * measured);
    expect(activations).toBeLessThan(1.15 * measured);
    expect(await peakBufferBytes(encode)).toBeLessThan(1.05 * activations);
    expect(weights).toBe(4 * encoder.countParams());
    encoder.dispose();
  });

  it('holds half a layer of an encoder that stays on disk, and no weights', () => {
    expect([staysOnDisk(T5), staysOnDisk(T5_XXL)]).toEqual([false, true]);
    const { weights, activations } = t5Memory(T5_XXL, 1, 120);
    expect(weights).toBe(0);
    const halfLayer = 4 * (3 * 4096 * 10240 + 4096);
    expect(activations).toBeGreaterThan(halfLayer);
    expect(activations).toBeLessThan(1.2 * halfLayer);
  });
});
