import * as tf from '@tensorflow/tfjs-core';
import { patchify, unpatchify } from '../../src/ops/patchify.ts';
import { expectBitEqual } from '../support/compare.ts';
import { randomTensor } from '../support/random-weights.ts';

describe('patchify', () => {
  it('goes row by row, and flattens a patch as row, column, channel', async () => {
    const image = tf.reshape(tf.range(0, 4 * 6 * 2), [1, 4, 6, 2]) as tf.Tensor4D; // value = 12·row + 2·column + channel
    const tokens = patchify(image, 2);
    expect(tokens.shape).toEqual([1, 6, 8]);
    const [rows] = await tokens.array();
    expect(rows![0]).toEqual([0, 1, 2, 3, 12, 13, 14, 15]);
    expect(rows![1]).toEqual([4, 5, 6, 7, 16, 17, 18, 19]); // one patch to the right
    expect(rows![3]).toEqual([24, 25, 26, 27, 36, 37, 38, 39]); // one patch down
  });

  it.each([1, 2, 4])('is undone by unpatchify, patch size %d, images that are not square', async (p) => {
    const image = randomTensor<tf.Tensor4D>([2, 2 * p, 3 * p, 5], p);
    await expectBitEqual(unpatchify(patchify(image, p), p, 2, 3), image);
  });
});
