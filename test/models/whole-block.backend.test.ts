import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../../src/checkpoint/archive.ts';
import type { WeightDtype } from '../../src/checkpoint/hold.ts';
import { type Block, type BranchName, type Modulation, runBlock, runBranches } from '../../src/models/block.ts';
import { DiT } from '../../src/models/dit.ts';
import type { DiTConfig } from '../../src/models/dit-config.ts';
import { PixArt } from '../../src/models/pixart.ts';
import type { PixArtConditioning, PixArtModulation } from '../../src/models/pixart-block.ts';
import { PIXART_XL_2, type PixArtConfig } from '../../src/models/pixart-config.ts';
import type { WeightedTensors } from '../../src/ops/weighted-sum.ts';
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
    const [got, want] = [block.whole?.(x, cond)?.tokens, runBlock(parts, x, cond)];
    expect(got?.shape).toEqual([n, t, width]);
    await expectBitEqual(got!, want);
    tf.dispose([got!, want]);
  });
  x.dispose();
}

/** What is given of branches, and asked of them: each once, the two together, and sums. */
const EXCHANGES: readonly (readonly [
  given: Partial<Record<BranchName, readonly number[]>>,
  asked: readonly BranchName[],
])[] = [
  [{}, ['self', 'mlp']],
  [{ self: [1] }, ['mlp']],
  [{ mlp: [1] }, ['self']],
  [{ self: [1], mlp: [1] }, []],
  [{ self: [3, -3, 1], mlp: [0.5] }, []],
];
const OF_CAPTION: typeof EXCHANGES = [
  [{}, ['self', 'cross', 'mlp']],
  [{ cross: [2, -1] }, ['self']],
  [{ self: [1], cross: [1], mlp: [1] }, []],
  [{ self: [2, -1], cross: [2, -1], mlp: [2, -1] }, []],
];

/** The block in one op gives what its branches give, with outputs of branches given and asked for. */
async function expectExchange<C, M extends Modulation>(
  { block, cond, width }: Case<C, M>,
  [n, t]: readonly [number, number],
  exchanges: typeof EXCHANGES,
) {
  const x = randomTensor<tf.Tensor3D>([n, t, width], 9);
  const parts: Block<C, M> = {
    modulation: (c) => block.modulation(c),
    rows: (c, rows) => block.rows(c, rows),
    branches: block.branches,
  };
  for (const [weightsOf, asked] of exchanges) {
    const given = new Map<BranchName, WeightedTensors<tf.Tensor3D>>();
    for (const [branch, weights] of Object.entries(weightsOf)) {
      const [first, ...others] = weights.map((_, i) => randomTensor<tf.Tensor3D>([n, t, width], 20 + i));
      given.set(branch as BranchName, { tensors: [first!, ...others], weights });
    }
    await expectNoLeak(async () => {
      const [got, want] = [block.whole?.(x, cond, { given, asked }), runBranches(parts, x, cond, { given, asked })];
      await expectBitEqual(got!.tokens, want.tokens);
      expect([...got!.raw.keys()].sort()).toEqual([...asked].sort());
      for (const [branch, raw] of want.raw) await expectBitEqual(got!.raw.get(branch)!, raw);
      tf.dispose([got!.tokens, want.tokens, ...got!.raw.values(), ...want.raw.values()]);
    });
    tf.dispose([...given.values()].flatMap(({ tensors }) => [...tensors]));
  }
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

    it.each(TOKENS)('takes and gives outputs of branches bit for bit, %d × %d tokens', async (n, t) => {
      if (!isThere()) return;
      await withDiTBlock(dtype, n, (of) => expectExchange(of, [n, t], EXCHANGES));
      await withPixArtBlock(dtype, n, 6, (of) => expectExchange(of, [n, t], OF_CAPTION));
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

  it('refuses outputs of branches of another shape than its tokens', async () => {
    if (fusedKernels().length === 0) return;
    await withDiTBlock('float32', 1, ({ block, cond }) => {
      const [x, odd] = [tf.zeros<tf.Rank.R3>([1, 4, 24]), tf.zeros<tf.Rank.R3>([1, 3, 24])];
      const given = new Map([['mlp', { tensors: [odd], weights: [2] }]] as const);
      expect(() => block.whole?.(x, cond, { given, asked: [] })).toThrow('block: expected what is given as [N,T,D]');
      tf.dispose([x, odd]);
    });
  });
});
