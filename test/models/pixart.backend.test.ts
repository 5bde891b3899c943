import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../../src/checkpoint/archive.ts';
import { CheckpointError, OptionError, ShapeError } from '../../src/errors.ts';
import type { BranchHooks } from '../../src/layers/hooks.ts';
import { runBlock } from '../../src/models/block.ts';
import { PixArt } from '../../src/models/pixart.ts';
import type { PixArtCaption, PixArtConditioning } from '../../src/models/pixart-block.ts';
import { unpatchify } from '../../src/ops/patchify.ts';
import { elementCount } from '../../src/shape.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import type { Fixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { randomTensor, replaceTensor } from '../support/random-weights.ts';
import { BOTH_NUMERICS } from '../support/tiny-dit.ts';
import {
  forwardInputs,
  loadPixArt,
  PIXART_MODELS,
  readPixArtFixture,
  sizeOf,
  withPixArtCheckpoint,
} from '../support/tiny-pixart.ts';

const PER_LAYER = 1e-5;
const PER_FORWARD = 1e-4;
const CASES = PIXART_MODELS.flatMap((name) => BOTH_NUMERICS.map((numerics) => [name, numerics] as const));

describe.each(CASES)('PixArt, %s with the %s numerics, against PyTorch', (name, numerics) => {
  let pixart: PixArt;
  let fixture: Fixture;
  beforeAll(async () => {
    pixart = await loadPixArt(name, numerics);
    fixture = await readPixArtFixture(name);
  });
  afterAll(() => pixart.dispose());

  const reference = <T extends tf.Tensor = tf.Tensor3D>(stage: string) => fixture.tensor<T>(`${numerics}.${stage}`);
  const caption = (): PixArtCaption => ({
    ...pixart.projectCaption(fixture.tensor('input.caption'), fixture.tensor('input.mask')),
    tokens: reference('caption'),
  });
  const conditioning = (): PixArtConditioning => ({
    t: reference<tf.Tensor2D>('t'),
    t0: reference<tf.Tensor2D>('t0'),
    caption: caption(),
    height: 3,
    width: 5,
  });

  it('projects the caption', async () => {
    const { tokens } = pixart.projectCaption(fixture.tensor('input.caption'), fixture.tensor('input.mask'));
    expect(await relativeL2(tokens, reference('caption'))).toBeLessThan(PER_LAYER);
  });

  it('embeds latents that are not square, the timestep, and the size where it is told', async () => {
    const { x, t, size } = forwardInputs(fixture, numerics);
    const { tokens, cond } = pixart.embed(x, t, caption(), size);
    expect(await relativeL2(tokens, reference('tokens'))).toBeLessThan(PER_LAYER);
    expect(await relativeL2(cond.t, reference('t'))).toBeLessThan(PER_LAYER);
    expect(await relativeL2(cond.t0, reference('t0'))).toBeLessThan(PER_LAYER);
  });

  it('modulates with its own table, in the order of DiT', async () => {
    const mod = pixart.blocks[1]!.modulation(conditioning());
    const six = [mod.shiftMsa, mod.scaleMsa, mod.gateMsa, mod.shiftMlp, mod.scaleMlp, mod.gateMlp];
    expect(await relativeL2(tf.stack(six, 1), reference('block1.modulation'))).toBeLessThan(PER_LAYER);
  });

  it('computes the three branches of a block, raw and merged', async () => {
    const block = pixart.blocks[1]!;
    const mod = block.modulation(conditioning());
    expect(block.branches.map((branch) => branch.name)).toEqual(['self', 'cross', 'mlp']);
    const [self, cross, mlp] = block.branches;
    const stages = [
      [self!, 'block0', 'block1.self', 'block1.afterSelf'],
      [cross!, 'block1.afterSelf', 'block1.cross', 'block1.afterCross'],
      [mlp!, 'block1.afterCross', 'block1.mlp', 'block1'],
    ] as const;
    for (const [branch, before, raw, after] of stages) {
      const x = reference(before);
      expect(await relativeL2(branch.raw(x, mod), reference(raw))).toBeLessThan(PER_LAYER);
      expect(await relativeL2(branch.merge(x, reference(raw), mod), reference(after))).toBeLessThan(PER_LAYER);
      expect(await relativeL2(branch.apply(x, mod), reference(after))).toBeLessThan(PER_LAYER);
      const hooks: BranchHooks = { linear: (_name, _input, compute) => compute() };
      await expectBitEqual(branch.apply(x, mod), branch.merge(x, branch.raw(x, mod), mod));
      await expectBitEqual(branch.apply(x, mod), branch.merge(x, branch.raw(x, mod, hooks), mod));
    }
  });

  // tokens of variance 1e-6, where an epsilon of 1e-5 instead of 1e-6 changes a norm by a third and more
  it('uses the right epsilon in every norm', async () => {
    const cond = {
      ...conditioning(),
      t: fixture.tensor<tf.Tensor2D>('diffusers.t'),
      t0: fixture.tensor<tf.Tensor2D>('diffusers.t0'),
    };
    const block = pixart.blocks[1]!;
    const mod = block.modulation(cond);
    const small = fixture.tensor<tf.Tensor3D>('input.smallTokens');
    const [self, , mlp] = block.branches;
    expect(await relativeL2(self!.raw(small, mod), fixture.tensor('small.self'))).toBeLessThan(PER_LAYER);
    expect(await relativeL2(mlp!.raw(small, mod), fixture.tensor('small.mlp'))).toBeLessThan(PER_LAYER);
    const image = unpatchify(fixture.tensor<tf.Tensor3D>('small.patches'), 2, 3, 5);
    expect(await relativeL2(pixart.head(small, cond), image)).toBeLessThan(PER_LAYER);
  });

  it('runs block after block', async () => {
    const cond = conditioning();
    for (const [i, block] of pixart.blocks.entries()) {
      const before = reference(i === 0 ? 'tokens' : `block${i - 1}`);
      expect(await relativeL2(runBlock(block, before, cond), reference(`block${i}`))).toBeLessThan(PER_LAYER);
      const called = block.call([before, cond.t0, cond.caption.tokens, cond.caption.bias]);
      expect(await relativeL2(called, reference(`block${i}`))).toBeLessThan(PER_LAYER);
    }
  });

  it('ends with the final layer and an image of the latent’s shape', async () => {
    const last = reference(`block${pixart.blocks.length - 1}`);
    const got = pixart.head(last, conditioning());
    expect(await relativeL2(got, fixture.nhwc(`${numerics}.output`))).toBeLessThan(PER_LAYER);
  });

  it.each([
    ['wide', 'output'],
    ['square', 'square'],
  ] as const)('predicts the whole forward on %s latents', async (latents, output) => {
    const { x, t, embeds, mask, size } = forwardInputs(fixture, numerics, latents);
    const got = await pixart.predict(x, t, pixart.projectCaption(embeds, mask), { size });
    expect(await relativeL2(got, fixture.nhwc(`${numerics}.${output}`))).toBeLessThan(PER_FORWARD);
  });
});

describe('PixArt and its caption', () => {
  it('a masked token is as good as one that is not there, whatever it holds', async () => {
    const pixart = await loadPixArt('tiny');
    const fixture = await readPixArtFixture('tiny');
    const { x, t, embeds, mask } = forwardInputs(fixture, 'original');
    const want = await pixart.predict(x, t, pixart.projectCaption(embeds, mask));
    const noise = randomTensor<tf.Tensor3D>(embeds.shape, 8, 5);
    const keep = tf.expandDims(mask, 2);
    const spoilt = tf.add(tf.mul(embeds, keep), tf.mul(noise, tf.sub(1, keep))) as tf.Tensor3D;
    const got = await pixart.predict(x, t, pixart.projectCaption(spoilt, mask));
    expect(await relativeL2(got, want)).toBeLessThan(1e-6);
    pixart.dispose();
  });

  it('the size of the picture and its aspect ratio each change what a model with micro-conditions predicts', async () => {
    const pixart = await loadPixArt('ms');
    const fixture = await readPixArtFixture('ms');
    const { x, t, embeds, mask, size } = forwardInputs(fixture, 'original');
    const predict = (change: object) =>
      pixart.predict(x, t, pixart.projectCaption(embeds, mask), { size: { ...size, ...change } });
    const want = await predict({});
    const swapped = { height: size.width, width: size.height };
    for (const change of [{ height: 512 }, { width: 512 }, { aspectRatio: 1.46 }, swapped])
      expect(await relativeL2(await predict(change), want)).toBeGreaterThan(1e-3);
    pixart.dispose();
  });
});

describe('PixArt runs its blocks through the runner it is given', () => {
  it('hands over all blocks, the tokens and the conditioning, and takes the tokens that come back', async () => {
    const pixart = await loadPixArt('tiny');
    const fixture = await readPixArtFixture('tiny');
    const { x, t, embeds, mask } = forwardInputs(fixture, 'original');
    const got = await pixart.predict(x, t, pixart.projectCaption(embeds, mask), {
      run: async (blocks, tokens, cond) => {
        expect(blocks).toBe(pixart.blocks);
        expect(await relativeL2(tokens, fixture.tensor('original.tokens'))).toBeLessThan(PER_LAYER);
        expect(Object.keys(cond as object).sort()).toEqual(['caption', 'height', 't', 't0', 'width']);
        return fixture.tensor<tf.Tensor3D>('original.block2');
      },
    });
    expect(await relativeL2(got, fixture.nhwc('original.output'))).toBeLessThan(PER_LAYER);
    pixart.dispose();
  });

  it('hooks see each linear and each attention of the three branches, by their names in the checkpoint', async () => {
    const pixart = await loadPixArt('tiny');
    const fixture = await readPixArtFixture('tiny');
    const { x, t, embeds, mask } = forwardInputs(fixture, 'original');
    const { tokens, cond } = pixart.embed(x, t, pixart.projectCaption(embeds, mask));
    const block = pixart.blocks[0]!;
    const mod = block.modulation(cond);
    const seen: string[] = [];
    const hooks: BranchHooks = {
      linear: (name, _, compute) => {
        seen.push(name);
        return compute();
      },
      attention: (_, compute) => {
        seen.push('attention');
        return compute();
      },
    };
    for (const branch of block.branches) await expectBitEqual(branch.raw(tokens, mod, hooks), branch.raw(tokens, mod));
    expect(seen).toEqual(['qkv', 'attention', 'proj', 'q_linear', 'attention', 'kv_linear', 'proj', 'fc1', 'fc2']);
    pixart.dispose();
  });
});

describe('PixArt refuses', () => {
  let pixart: PixArt;
  let fixture: Fixture;
  beforeAll(async () => {
    pixart = await loadPixArt('ms');
    fixture = await readPixArtFixture('ms');
  });
  afterAll(() => pixart.dispose());

  const refused = async (
    change: Partial<ReturnType<typeof forwardInputs>>,
    kind: new (...args: never[]) => Error,
    text: RegExp,
  ) => {
    const { x, t, embeds, mask, size } = { ...forwardInputs(fixture, 'original'), ...change };
    await expectCleanFailure(
      async () => {
        const caption = pixart.projectCaption(embeds, mask);
        try {
          await pixart.predict(x, t, caption, { size });
        } finally {
          tf.dispose([caption.tokens, caption.bias]);
        }
      },
      kind,
      text,
    );
  };

  it('latents of other channels, of half a patch, or not one a timestep, and leaks nothing', async () => {
    await refused({ x: tf.zeros([2, 6, 10, 3]) }, ShapeError, /PixArt input: expected \[2, any, any, 4\]/);
    await refused({ x: tf.zeros([2, 6, 9, 4]) }, ShapeError, /whole patches of 2, got 6×9/);
    await refused({ x: tf.zeros([2, 0, 10, 4]) }, ShapeError, /whole patches/);
    await refused({ t: [1] }, ShapeError, /PixArt input/);
  });

  it('captions of another width or number, and masks of another shape', async () => {
    await refused({ embeds: tf.zeros([2, 6, 17]) }, ShapeError, /caption: expected \[any, any, 16\], got \[2, 6, 17\]/);
    await refused({ mask: tf.ones([2, 5]) }, ShapeError, /caption mask: expected \[2, 6\], got \[2, 5\]/);
    const one = { embeds: tf.zeros([1, 6, 16]) as tf.Tensor3D, mask: tf.ones([1, 6]) as tf.Tensor2D };
    await refused(one, ShapeError, /PixArt caption: expected \[2, any, 24\], got \[1, 6, 24\]/);
  });

  it('to go without the picture’s size where it must be told', async () => {
    const { x, t, embeds, mask } = forwardInputs(fixture, 'original');
    const caption = pixart.projectCaption(embeds, mask);
    await expectCleanFailure(() => pixart.predict(x, t, caption), OptionError, /give \{height, width, aspectRatio\}/);
    const size = { ...sizeOf(fixture, 'original'), aspectRatio: Number.NaN };
    await expectCleanFailure(() => pixart.predict(x, t, caption, { size }), OptionError, /aspect ratio/);
  });

  it('tokens of another shape from a runner', async () => {
    const { x, t, embeds, mask, size } = forwardInputs(fixture, 'original');
    const caption = pixart.projectCaption(embeds, mask);
    const run = async () => tf.zeros([2, 14, 24]) as tf.Tensor3D;
    await expectCleanFailure(
      () => pixart.predict(x, t, caption, { size, run }),
      ShapeError,
      /block runner's tokens: expected \[2, 15, 24\]/,
    );
  });
});

describe('PixArt memory', () => {
  const name = 'blocks.1.cross_attn.proj.kernel';

  it('loads, predicts at one size after another, and frees everything once', async () => {
    await expectNoLeak(async () => {
      const pixart = await loadPixArt('ms');
      const shapes = PixArt.parameterShapes(pixart.config);
      const count = [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
      expect(pixart.countParams()).toBe(count);
      const embeds = tf.ones([1, 6, 16]) as tf.Tensor3D;
      const mask = tf.ones([1, 6]) as tf.Tensor2D;
      const caption = pixart.projectCaption(embeds, mask);
      const size = { height: 64, width: 96, aspectRatio: 0.67 };
      for (const [h, w] of [
        [8, 8],
        [4, 6],
        [6, 4],
        [6, 4],
      ] as const) {
        const latents = tf.zeros([1, h, w, 4]) as tf.Tensor4D;
        const before = tf.memory().numTensors;
        const out = await pixart.predict(latents, [10], caption, { size });
        expect(out.shape).toEqual([1, h, w, 8]);
        expect(tf.memory().numTensors).toBe(before + 1);
        tf.dispose([latents, out]);
      }
      tf.dispose([embeds, mask, caption.tokens, caption.bias]);
      pixart.dispose();
      pixart.dispose();
    });
  });

  it('frees everything when it is disposed before the first forward', async () => {
    await expectNoLeak(async () => (await loadPixArt('tiny')).dispose());
  });

  it('says that it was disposed, and leaks nothing', async () => {
    const [embeds, mask] = [tf.ones([1, 6, 16]) as tf.Tensor3D, tf.ones([1, 6]) as tf.Tensor2D];
    const latents = tf.zeros([1, 4, 6, 4]) as tf.Tensor4D;
    await expectCleanFailure(
      async () => {
        const pixart = await loadPixArt('tiny');
        const caption = pixart.projectCaption(embeds, mask);
        pixart.dispose();
        await pixart.predict(latents, [0], caption).finally(() => tf.dispose([caption.tokens, caption.bias]));
      },
      CheckpointError,
      /after dispose/,
    );
  });

  it.each([
    ['is unreadable', { read: () => Promise.reject(new CheckpointError('torn file')) }, /torn file/],
    ['has another shape', { shape: [24, 25] }, /1 of the wrong shape: blocks\.1\.cross_attn\.proj\.kernel/],
  ])('frees what it has built when a tensor %s', async (_, change, text) => {
    await withPixArtCheckpoint('tiny', async ({ transformer: { config, archive } }) => {
      const broken = replaceTensor(archive, name, change);
      const load = () => withWeights(broken, (weights) => PixArt.fromWeights(config, weights));
      await expectCleanFailure(load, CheckpointError, text);
    });
  });
});
