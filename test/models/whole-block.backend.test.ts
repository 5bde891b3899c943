import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../../src/checkpoint/archive.ts';
import type { WeightDtype } from '../../src/checkpoint/hold.ts';
import { type Block, type Modulation, runBlock } from '../../src/models/block.ts';
import { DiT } from '../../src/models/dit.ts';
import type { DiTConfig } from '../../src/models/dit-config.ts';
import { PixArt } from '../../src/models/pixart.ts';
import type { PixArtConditioning, PixArtModulation } from '../../src/models/pixart-block.ts';
import { PIXART_XL_2, type PixArtConfig } from '../../src/models/pixart-config.ts';
import { expectBitEqual } from '../support/compare.ts';
import { composed, fusedKernels } from '../support/fused.ts';
import { byEachInstructionSet } from '../support/fused-agreement.ts';
import { expectNoLeak } from '../support/memory.ts';
import { randomArchive, randomTensor } from '../support/random-weights.ts';

const DIT: DiTConfig = {
  hiddenSize: 24,
  depth: 1,
  numHeads: 2,
  patchSize: 2,
  mlpRatio: 4,
  inChannels: 4,
  outChannels: 8,
  inputSize: 8,
  numClasses: 3,
  frequencyShift: 0,
  normEps: 1e-5,
};

const PIXART: PixArtConfig = {
  ...PIXART_XL_2,
  hiddenSize: 24,
  depth: 1,
  numHeads: 2,
  captionChannels: 6,
  inputSize: 8,
  interpolationScale: 1,
  microConditions: false,
};

interface Case<C, M extends Modulation> {
  readonly block: Block<C, M>;
  readonly cond: C;
  readonly width: number;
}

/** N and T: one of each, odd ones, and more rows than a tile of a product has. */
const TOKENS = [
  [1, 1],
  [3, 5],
  [2, 67],
] as const;

async function withDiTBlock(dtype: WeightDtype, n: number, use: (of: Case<{ c: tf.Tensor2D }, Modulation>) => unknown) {
  const archive = randomArchive(DiT.parameterShapes(DIT), 3);
  const model = await withWeights(archive, (weights) => DiT.fromWeights(DIT, weights), dtype);
  const c = randomTensor<tf.Tensor2D>([n, DIT.hiddenSize], 5);
  await use({ block: model.blocks[0]!, cond: { c }, width: DIT.hiddenSize });
  c.dispose();
  model.dispose();
}

async function withPixArtBlock(
  dtype: WeightDtype,
  n: number,
  masked: number,
  use: (of: Case<PixArtConditioning, PixArtModulation>) => unknown,
) {
  const archive = randomArchive(PixArt.parameterShapes(PIXART), 4);
  const model = await withWeights(archive, (weights) => PixArt.fromWeights(PIXART, weights), dtype);
  const words = 7;
  const bias = Float32Array.from({ length: n * words }, (_, i) => (i % words < words - masked ? 0 : -10_000));
  const tensors = {
    t: randomTensor<tf.Tensor2D>([n, 24], 6),
    t0: randomTensor<tf.Tensor2D>([n, 6 * 24], 7),
    tokens: randomTensor<tf.Tensor3D>([n, words, 24], 8),
    bias: tf.tensor4d(bias, [n, 1, 1, words]),
  };
  const { t, t0, tokens, bias: mask } = tensors;
  const cond = { t, t0, caption: { tokens, bias: mask }, height: 1, width: 1 };
  await use({ block: model.blocks[0]!, cond, width: 24 });
  tf.dispose(tensors);
  model.dispose();
}

/** The block in one op gives what its branches give, and leaves only that. */
async function expectWhole<C, M extends Modulation>(
  { block, cond, width }: Case<C, M>,
  [n, t]: readonly [number, number],
) {
  const x = randomTensor<tf.Tensor3D>([n, t, width], 9);
  const { branches } = block;
  const parts: Block<C, M> = {
    modulation: (c) => block.modulation(c),
    rows: (c, rows) => block.rows(c, rows),
    branches,
  };
  await expectNoLeak(async () => {
    const [got, want] = [block.whole?.(x, cond), runBlock(parts, x, cond)];
    expect(got?.shape).toEqual([n, t, width]);
    await expectBitEqual(got!, want);
    tf.dispose([got!, want]);
  });
  x.dispose();
}

byEachInstructionSet((isThere) => {
  describe.each(['float32', 'bfloat16'] as const)('a block in one op, weights as %s,', (dtype) => {
    it.each(TOKENS)('is its branches bit for bit: DiT, %d × %d tokens', async (n, t) => {
      if (!isThere()) return;
      await withDiTBlock(dtype, n, (of) => expectWhole(of, [n, t]));
    });

    it.each(TOKENS)('is its branches bit for bit: PixArt, %d × %d tokens', async (n, t) => {
      if (!isThere()) return;
      for (const masked of [0, 6]) await withPixArtBlock(dtype, n, masked, (of) => expectWhole(of, [n, t]));
    });
  });
});

describe('a block', () => {
  it('is composed where there is no such op', async () => {
    await composed(() =>
      withDiTBlock('float32', 2, ({ block, cond }) => {
        const x = tf.zeros<tf.Rank.R3>([2, 4, 24]);
        expect(block.whole?.(x, cond)).toBeUndefined();
        const out = runBlock(block, x, cond);
        expect(out.shape).toEqual([2, 4, 24]);
        tf.dispose([x, out]);
      }),
    );
  });

  it('is composed where its tensors are large, beside which a call costs nothing', async () => {
    await withDiTBlock('float32', 1, ({ block, cond }) => {
      const x = tf.zeros<tf.Rank.R3>([1, 90_000, 24]);
      expect(block.whole?.(x, cond)).toBeUndefined();
      x.dispose();
    });
  });

  it('refuses tokens of another width than its weights', async () => {
    if (fusedKernels().length === 0) return; // there is nothing that could refuse
    await withDiTBlock('float32', 1, ({ block, cond }) => {
      const x = tf.zeros<tf.Rank.R3>([1, 4, 26]);
      expect(() => block.whole?.(x, cond)).toThrow(/block: expected c \[N,D\] and a linear to \[N,6D\]/);
      x.dispose();
    });
  });
});
