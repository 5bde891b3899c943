import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openDiT } from '../../converters/open-dit.ts';
import { withWeights } from '../../src/checkpoint/archive.ts';
import { CheckpointError, OptionError, ShapeError } from '../../src/errors.ts';
import type { BranchHooks } from '../../src/layers/hooks.ts';
import { runBlock } from '../../src/models/block.ts';
import { DiT } from '../../src/models/dit.ts';
import { elementCount } from '../../src/shape.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { type Fixture, PARITY, readFixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { replaceTensor } from '../support/random-weights.ts';
import { BOTH_NUMERICS, loadTinyDiT, withTinyCheckpoint } from '../support/tiny-dit.ts';

const PER_BLOCK = 1e-5;
const PER_FORWARD = 1e-4;

let fixture: Fixture;
beforeAll(async () => {
  fixture = await readFixture('dit-tiny.safetensors');
});

describe.each(BOTH_NUMERICS)('DiT with the %s numerics against PyTorch', (numerics) => {
  let dit: DiT;
  beforeAll(async () => {
    dit = await loadTinyDiT(numerics);
  });
  afterAll(() => dit.dispose());

  const reference = (name: string) => fixture.tensor<tf.Tensor3D>(`${numerics}.${name}`);
  const conditioning = () => ({ c: fixture.tensor<tf.Tensor2D>(`${numerics}.conditioning`) });

  it('embeds', async () => {
    const { tokens, cond } = dit.embed(
      fixture.nhwc('input.latents'),
      fixture.numbers('input.timesteps'),
      fixture.numbers('input.labels'),
    );
    expect(await relativeL2(tokens, fixture.tensor('tokens'))).toBeLessThan(PER_BLOCK);
    expect(await relativeL2(cond.c, reference('conditioning'))).toBeLessThan(PER_BLOCK);
  });

  it('modulates in the order shift, scale, gate of attention, then of the MLP', async () => {
    const mod = dit.blocks[1]!.modulation(conditioning());
    const chunks = [mod.shiftMsa, mod.scaleMsa, mod.gateMsa, mod.shiftMlp, mod.scaleMlp, mod.gateMlp];
    expect(await relativeL2(tf.concat(chunks, 1), reference('block1.modulation'))).toBeLessThan(PER_BLOCK);
  });

  it('computes both branches of a block, raw and merged', async () => {
    const block = dit.blocks[1]!;
    const mod = block.modulation(conditioning());
    const [self, mlp] = block.branches;
    expect([self!.name, mlp!.name]).toEqual(['self', 'mlp']);

    const [before, between, after] = [reference('block0'), reference('block1.afterAttention'), reference('block1')];
    expect(await relativeL2(self!.raw(before, mod), reference('block1.attention'))).toBeLessThan(PER_BLOCK);
    expect(await relativeL2(self!.merge(before, reference('block1.attention'), mod), between)).toBeLessThan(PER_BLOCK);
    expect(await relativeL2(self!.apply(before, mod), between)).toBeLessThan(PER_BLOCK);
    expect(await relativeL2(mlp!.raw(between, mod), reference('block1.mlp'))).toBeLessThan(PER_BLOCK);
    expect(await relativeL2(mlp!.merge(between, reference('block1.mlp'), mod), after)).toBeLessThan(PER_BLOCK);
    expect(await relativeL2(mlp!.apply(between, mod), after)).toBeLessThan(PER_BLOCK);
  });

  it('a branch applied is its raw output merged, watched or not, bit for bit', async () => {
    const block = dit.blocks[1]!;
    const mod = block.modulation(conditioning());
    const hooks: BranchHooks = { linear: (_name, _input, compute) => compute() };
    for (const branch of block.branches) {
      const x = reference('block0') as tf.Tensor3D;
      const applied = branch.apply(x, mod);
      await expectBitEqual(applied, branch.merge(x, branch.raw(x, mod), mod));
      await expectBitEqual(applied, branch.merge(x, branch.raw(x, mod, hooks), mod));
    }
  });

  // tokens of variance 1e-6, where an epsilon of 1e-5 instead of 1e-6 changes the branch by a third and more
  it('uses the right epsilon in either norm', async () => {
    const mod = dit.blocks[1]!.modulation(conditioning());
    const small = fixture.tensor<tf.Tensor3D>('input.smallTokens');
    const [self, mlp] = dit.blocks[1]!.branches;
    expect(await relativeL2(self!.raw(small, mod), reference('small.attention'))).toBeLessThan(PER_BLOCK);
    expect(await relativeL2(mlp!.raw(small, mod), reference('small.mlp'))).toBeLessThan(PER_BLOCK);
  });

  it('runs block after block', async () => {
    const cond = conditioning();
    for (const [i, block] of dit.blocks.entries()) {
      const before = i === 0 ? fixture.tensor<tf.Tensor3D>('tokens') : reference(`block${i - 1}`);
      expect(await relativeL2(runBlock(block, before, cond), reference(`block${i}`))).toBeLessThan(PER_BLOCK);
      expect(await relativeL2(block.call([before, cond.c]), reference(`block${i}`))).toBeLessThan(PER_BLOCK);
    }
  });

  it('ends with the final layer and the image', async () => {
    const got = dit.head(reference('block2'), conditioning());
    expect(await relativeL2(got, fixture.nhwc(`${numerics}.output`))).toBeLessThan(PER_BLOCK);
  });

  it('predicts the whole forward', async () => {
    const got = await dit.predict(
      fixture.nhwc('input.latents'),
      fixture.numbers('input.timesteps'),
      fixture.numbers('input.labels'),
    );
    expect(await relativeL2(got, fixture.nhwc(`${numerics}.output`))).toBeLessThan(PER_FORWARD);
  });
});

describe('DiT at other patch sizes', () => {
  it.each([
    ['dit-p4', 'dit-p4.pt'],
    ['dit-p8', 'dit-p8-weights.safetensors'],
  ])('%s, from a file of the original layout', async (name, file) => {
    const reference = await readFixture(`${name}.safetensors`);
    const checkpoint = await openDiT(join(PARITY, file), { numHeads: 2, vae: join(PARITY, 'vae-deep') });
    const { config, archive } = checkpoint.transformer;
    const dit = await withWeights(archive, (weights) => DiT.fromWeights(config, weights));
    await checkpoint.close();
    expect(config.patchSize).toBe(Number(reference.metadata.get('patch')));
    const got = await dit.predict(
      reference.nhwc('input.latents'),
      reference.numbers('input.timesteps'),
      reference.numbers('input.labels'),
    );
    expect(await relativeL2(got, reference.nhwc('original.output'))).toBeLessThan(PER_FORWARD);
    dit.dispose();
  });
});

describe('DiT runs its blocks through the runner it is given', () => {
  it('hands over all blocks, the tokens and the conditioning, and takes the tokens that come back', async () => {
    const dit = await loadTinyDiT('original');
    const latents = fixture.nhwc('input.latents');
    const want = fixture.tensor<tf.Tensor3D>('original.block2');
    const got = await dit.predict(
      latents,
      fixture.numbers('input.timesteps'),
      fixture.numbers('input.labels'),
      async (blocks, tokens, cond) => {
        expect(blocks).toBe(dit.blocks);
        expect(await relativeL2(tokens, fixture.tensor('tokens'))).toBeLessThan(PER_BLOCK);
        expect(await relativeL2((cond as { c: tf.Tensor2D }).c, fixture.tensor('original.conditioning'))).toBeLessThan(
          PER_BLOCK,
        );
        return want.clone();
      },
    );
    expect(await relativeL2(got, fixture.nhwc('original.output'))).toBeLessThan(PER_BLOCK);
    dit.dispose();
  });
});

describe('DiT refuses', () => {
  let dit: DiT;
  beforeAll(async () => {
    dit = await loadTinyDiT('original');
  });
  afterAll(() => dit.dispose());

  it('latents of another size or channel count', async () => {
    await expect(dit.predict(tf.zeros([1, 4, 8, 8]), [0], [0])).rejects.toThrow(ShapeError);
    await expect(dit.predict(tf.zeros([1, 16, 16, 4]), [0], [0])).rejects.toThrow(
      'DiT input: expected [1, 8, 8, 4], got [1, 16, 16, 4]',
    );
  });

  it('timesteps or labels that are not one a sample', async () => {
    await expect(dit.predict(tf.zeros([2, 8, 8, 4]), [0], [0])).rejects.toThrow(ShapeError);
    await expect(dit.predict(tf.zeros([2, 8, 8, 4]), [0, 0], [0])).rejects.toThrow(ShapeError);
  });

  it.each([8, -1, 0.5, Number.NaN])('the label %p, and leaks nothing', async (label) => {
    const latents = tf.zeros([1, 8, 8, 4]) as tf.Tensor4D;
    await expectCleanFailure(() => dit.predict(latents, [0], [label]), OptionError, /whole numbers from 0 to 7, got/);
  });

  it('tokens of another shape from a runner, and leaks nothing', async () => {
    const latents = tf.zeros([1, 8, 8, 4]) as tf.Tensor4D;
    const run = async () => tf.zeros([1, 15, 48]) as tf.Tensor3D;
    await expectCleanFailure(
      () => dit.predict(latents, [0], [0], run),
      ShapeError,
      /block runner's tokens: expected \[1, 16, 48\]/,
    );
  });
});

describe('DiT memory', () => {
  const name = 'blocks.2.mlp.fc2.kernel'; // late, when much is built

  it('loads, predicts, and frees everything once', async () => {
    await expectNoLeak(async () => {
      const dit = await loadTinyDiT('original');
      const count = [...DiT.parameterShapes(dit.config).values()].reduce((sum, shape) => sum + elementCount(shape), 0);
      expect(dit.countParams()).toBe(count);
      const latents = tf.zeros([1, 8, 8, 4]) as tf.Tensor4D;
      const before = tf.memory().numTensors;
      const out = await dit.predict(latents, [10], [0]);
      expect(tf.memory().numTensors).toBe(before + 1);
      tf.dispose([latents, out]);
      dit.dispose();
      dit.dispose();
    });
  });

  it('frees everything when it is disposed before the first forward', async () => {
    await expectNoLeak(async () => (await loadTinyDiT('diffusers')).dispose());
  });

  it('says that it was disposed, and leaks nothing', async () => {
    await expectCleanFailure(
      async () => {
        const dit = await loadTinyDiT('original');
        dit.dispose();
        const latents = tf.zeros([1, 8, 8, 4]) as tf.Tensor4D;
        await dit.predict(latents, [0], [0]).finally(() => latents.dispose());
      },
      CheckpointError,
      /after dispose/,
    );
  });

  it.each([
    ['is unreadable', { read: () => Promise.reject(new CheckpointError('torn file')) }, /torn file/],
    [
      'has another shape',
      { shape: [48, 192] },
      /1 of the wrong shape: blocks\.2\.mlp\.fc2\.kernel \(expected \[192, 48\], got \[48, 192\]\)/,
    ],
  ])('frees what it has built when a tensor %s', async (_, change, text) => {
    await withTinyCheckpoint(async ({ transformer: { config, archive } }) => {
      const broken = replaceTensor(archive, name, change);
      const load = () => withWeights(broken, (weights) => DiT.fromWeights(config, weights));
      await expectCleanFailure(load, CheckpointError, text);
    });
  });

  it('lists missing, unexpected and wrong-shape tensors together, before anything is read', async () => {
    await withTinyCheckpoint(async ({ transformer: { config, archive } }) => {
      const spoilt = replaceTensor(archive, 'final_layer.linear.bias', { shape: [31] });
      const tensors = new Map([...spoilt.tensors].filter(([key]) => key !== name));
      tensors.set('extra.weight', spoilt.tensors.get('x_embedder.proj.bias')!);
      const load = () => withWeights({ ...spoilt, tensors }, (weights) => DiT.fromWeights(config, weights));
      await expectCleanFailure(
        load,
        CheckpointError,
        /1 missing: blocks\.2\.mlp\.fc2\.kernel\. 1 unexpected: extra\.weight\. 1 of the wrong shape: final_layer/,
      );
    });
  });
});
