import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../../src/errors.ts';
import { torchNoise } from '../../src/pipelines/noise.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { readFixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';

const at = (noise: tf.Tensor4D, sample: number) => tf.slice(noise, [sample, 0, 0, 0], [1, -1, -1, -1]);

describe('torchNoise', () => {
  it("is torch's for the seed, drawn channels first", async () => {
    const fixture = await readFixture('pipeline.safetensors');
    const seed = Number(fixture.metadata.get('seed'));
    expect(await relativeL2(torchNoise(seed, 2)([2, 8, 8, 4]), fixture.nhwc('noise'))).toBeLessThan(1e-6);
  });

  it('draws several pictures from one generator, in order', async () => {
    const two = torchNoise(7, 2)([2, 8, 8, 4]);
    await expectBitEqual(at(two, 0), torchNoise(7, 1)([1, 8, 8, 4]));
    expect(await relativeL2(at(two, 1), at(two, 0))).toBeGreaterThan(0.5);
  });

  it('gives each picture its own generator where each has a seed', async () => {
    const noise = torchNoise([3, 9, 3], 3)([3, 4, 4, 4]);
    await expectBitEqual(at(noise, 1), torchNoise(9, 1)([1, 4, 4, 4]));
    await expectBitEqual(at(noise, 2), at(noise, 0));
  });

  it('lays out sizes that are not square as [N,H,W,C]', async () => {
    const noise = torchNoise(1, 1)([1, 3, 5, 4]);
    expect(noise.shape).toEqual([1, 3, 5, 4]);
    const flat = await tf.transpose(noise, [0, 3, 1, 2]).data();
    expect(Array.from(flat)).toEqual(
      Array.from(await tf.transpose(torchNoise(1, 1)([1, 1, 60, 1]), [0, 3, 1, 2]).data()),
    );
  });

  it('continues where the last draw stopped', async () => {
    const noise = torchNoise(7, 2);
    const [first, second] = [noise([2, 8, 8, 4]), noise([2, 8, 8, 4])];
    const four = torchNoise(7, 4)([4, 8, 8, 4]);
    await expectBitEqual(tf.concat([first, second]), four);
  });

  it('draws the other half after the pictures, with a generator for each too, and leaves it unused', async () => {
    const noise = torchNoise(7, 2);
    const [first, second] = [noise([2, 4, 4, 4], 2), noise([2, 4, 4, 4])];
    const six = torchNoise(7, 6)([6, 4, 4, 4]);
    await expectBitEqual(first, tf.slice(six, [0, 0, 0, 0], [2, -1, -1, -1]));
    await expectBitEqual(second, tf.slice(six, [4, 0, 0, 0], [2, -1, -1, -1]));
    const each = torchNoise([3, 7], 2);
    each([2, 4, 4, 4], 2);
    await expectBitEqual(at(each([2, 4, 4, 4]), 1), at(six, 2));
  });

  it('makes one tensor', async () => {
    await expectNoLeak(() => torchNoise(1, 2)([2, 4, 4, 4]).dispose());
  });

  it.each([[-1], [0.5], [Number.NaN], [2 ** 53], [[1]], [[1, -2]]])(
    'refuses the seed %j for two pictures',
    async (seed) => {
      await expectCleanFailure(() => torchNoise(seed, 2), OptionError, /^seed: expected/);
    },
  );
});
