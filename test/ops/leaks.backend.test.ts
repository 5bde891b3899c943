import * as tf from '@tensorflow/tfjs-core';
import { geluTanh, silu } from '../../src/ops/activations.ts';
import { attention, crossAttention, keyBias, multiHeadAttention, selfAttention } from '../../src/ops/attention.ts';
import { positionTable, timestepFrequencies } from '../../src/ops/embeddings.ts';
import { groupNorm, groupNormSilu } from '../../src/ops/group-norm.ts';
import { gateResidual, layerNorm, layerNormModulate, modulate } from '../../src/ops/layer-norm.ts';
import { linear } from '../../src/ops/linear.ts';
import { patchify, unpatchify } from '../../src/ops/patchify.ts';
import { keyMask, relativeAttention, relativeBuckets } from '../../src/ops/relative-attention.ts';
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { weightedSum } from '../../src/ops/weighted-sum.ts';
import { expectNoLeak } from '../support/memory.ts';

/** Shapes of the tensors that the ops below borrow. */
const SHAPES = {
  tokens: [2, 4, 12],
  pairs: [2, 3, 24],
  heads: [2, 3, 4, 4],
  mask: [2, 4],
  image: [2, 4, 4, 6],
  perSample: [2, 12],
  perChannel: [6],
  kernel: [12, 5],
};

interface Inputs {
  readonly tokens: tf.Tensor3D;
  readonly pairs: tf.Tensor3D;
  readonly heads: tf.Tensor4D;
  readonly mask: tf.Tensor2D;
  readonly image: tf.Tensor4D;
  readonly perSample: tf.Tensor2D;
  readonly perChannel: tf.Tensor1D;
  readonly kernel: tf.Tensor2D;
}

const OPS: Record<string, (inputs: Inputs) => tf.Tensor> = {
  geluTanh: ({ tokens }) => geluTanh(tokens),
  silu: ({ tokens }) => silu(tokens),
  attention: ({ heads }) => attention(heads, heads, heads),
  'attention in tiles, with a bias': ({ heads, mask }) =>
    tf.tidy(() => attention(heads, heads, heads, { bias: keyBias(mask), memoryBudget: 0 })),
  keyBias: ({ mask }) => keyBias(mask),
  selfAttention: ({ tokens }) => selfAttention(tokens, 2),
  crossAttention: ({ tokens, pairs }) => crossAttention(tokens, pairs, 2),
  multiHeadAttention: ({ tokens }) => multiHeadAttention(tokens, tokens, tokens, 1),
  timestepFrequencies: () => timestepFrequencies([1, 2], 8, 0),
  positionTable: () => positionTable(8, 2, 3),
  groupNorm: ({ image, perChannel }) => groupNorm(image, 3, perChannel, perChannel, 1e-6),
  groupNormSilu: ({ image, perChannel }) => groupNormSilu(image, 3, perChannel, perChannel, 1e-6),
  layerNorm: ({ tokens }) => layerNorm(tokens, 1e-6),
  modulate: ({ tokens, perSample }) => modulate(tokens, perSample, perSample),
  layerNormModulate: ({ tokens, perSample }) => layerNormModulate(tokens, perSample, perSample, 1e-6),
  gateResidual: ({ tokens, perSample }) => gateResidual(tokens, tokens, perSample),
  weightedSum: ({ tokens }) => weightedSum({ tensors: [tokens, tokens], weights: [2, -1] }),
  'weightedSum of one': ({ tokens }) => weightedSum({ tensors: [tokens], weights: [1] }),
  linear: ({ tokens, kernel }) => linear(tokens, { kernel, dtype: 'float32' }),
  rmsNorm: ({ image, perChannel }) =>
    tf.tidy(() => rmsNorm(tf.reshape(image, [2, 16, 6]) as tf.Tensor3D, perChannel, 1e-6)),
  relativeBuckets: () => relativeBuckets(4, { numBuckets: 8, maxDistance: 10 }),
  keyMask: () => keyMask([[1, 1, 0, 0]]),
  relativeAttention: ({ tokens, heads }) =>
    tf.tidy(() =>
      relativeAttention(tokens, tokens, tokens, tf.slice(heads, 0, 1), keyMask([Array(4).fill(1), Array(4).fill(0)])),
    ),
  patchify: ({ image }) => patchify(image, 2),
  unpatchify: ({ tokens }) => unpatchify(tokens, 2, 2, 2),
};

describe('every op', () => {
  it.each(Object.entries(OPS))('%s gives one fresh tensor, leaves its inputs and nothing else', async (_, op) => {
    const inputs = Object.fromEntries(
      Object.entries(SHAPES).map(([name, shape]) => [name, tf.ones(shape)]),
    ) as unknown as Inputs;
    await expectNoLeak(() => {
      const before = tf.memory().numTensors;
      const out = op(inputs);
      expect(tf.memory().numTensors).toBe(before + 1);
      out.dispose();
    });
    expect(Object.values(inputs).some((input: tf.Tensor) => input.isDisposed)).toBe(false);
  });
});
