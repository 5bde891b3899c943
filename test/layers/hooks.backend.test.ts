import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../../src/errors.ts';
import { CrossAttention, SelfAttention } from '../../src/layers/attention.ts';
import type { BranchHooks } from '../../src/layers/hooks.ts';
import { Mlp } from '../../src/layers/mlp.ts';
import { expectBitEqual } from '../support/compare.ts';
import { expectNoLeak } from '../support/memory.ts';
import { randomTensor, randomWeights } from '../support/random-weights.ts';

const tokens = () => randomTensor<tf.Tensor3D>([2, 4, 8], 5);
const caption = () => randomTensor<tf.Tensor3D>([2, 3, 8], 6);

const LAYERS = {
  SelfAttention: {
    inputs: () => [tokens()],
    make: async () => {
      const sizes = { hiddenSize: 8, numHeads: 2 };
      const layer = new SelfAttention(
        sizes,
        (await randomWeights(new SelfAttention(sizes).parameterShapes())).scope('layer'),
      );
      layer.build();
      return layer;
    },
    order: ['qkv [2,4,8]→[2,4,24]', 'attention [2,4,24]→[2,4,8]', 'proj [2,4,8]→[2,4,8]'],
  },
  CrossAttention: {
    inputs: () => [tokens(), caption()],
    make: async () => {
      const sizes = { hiddenSize: 8, numHeads: 2 };
      const shapes = new CrossAttention(sizes).parameterShapes();
      const layer = new CrossAttention(sizes, (await randomWeights(shapes)).scope('layer'));
      layer.build();
      return layer;
    },
    order: [
      'q_linear [2,4,8]→[2,4,8]',
      'kv_linear [2,3,8]→[2,3,16]', // only where the attention is computed, so it is done first
      'attention [2,4,8]→[2,4,8]',
      'proj [2,4,8]→[2,4,8]',
    ],
  },
  Mlp: {
    inputs: () => [tokens()],
    make: async () => {
      const sizes = { hiddenSize: 8, mlpRatio: 4 };
      const layer = new Mlp(sizes, (await randomWeights(new Mlp(sizes).parameterShapes())).scope('layer'));
      layer.build();
      return layer;
    },
    order: ['fc1 [2,4,8]→[2,4,32]', 'fc2 [2,4,32]→[2,4,8]'],
  },
};

describe.each(Object.entries(LAYERS))('hooks of %s', (_, { make, inputs, order }) => {
  it('see each part in order, and change nothing when they compute', async () => {
    const layer = await make();
    const x = inputs();
    const seen: string[] = [];
    const watch = (name: string, input: tf.Tensor3D, compute: () => tf.Tensor3D) => {
      const out = compute();
      seen.push(`${name} [${input.shape}]→[${out.shape}]`);
      return out;
    };
    const hooks: BranchHooks = { linear: watch, attention: (qkv, compute) => watch('attention', qkv, compute) };
    await expectBitEqual(layer.call(x, hooks), layer.call(x));
    expect(seen).toEqual(order);
    layer.dispose();
  });

  it('may replace a part without computing it, and leak nothing', async () => {
    const layer = await make();
    const x = inputs();
    const last = order[order.length - 1]!.split(' ')[0];
    const replacement = tf.fill([2, 4, 8], 7) as tf.Tensor3D;
    await expectNoLeak(async () => {
      const out = layer.call(x, {
        linear: (name, _input, compute) => (name === last ? replacement.clone() : compute()),
      });
      await expectBitEqual(out, replacement);
      out.dispose();
    });
    layer.dispose();
  });
});

describe('SelfAttention and CrossAttention', () => {
  it('refuse a number of heads that does not divide the width', () => {
    expect(() => new SelfAttention({ hiddenSize: 8, numHeads: 3 })).toThrow(OptionError);
    expect(() => new CrossAttention({ hiddenSize: 8, numHeads: 3 })).toThrow(OptionError);
  });
});
