import * as tf from '@tensorflow/tfjs-core';
import { linear } from '../../src/ops/linear.ts';

describe('linear', () => {
  let kernel: tf.Tensor2D; // [in,out]
  let bias: tf.Tensor1D;
  beforeAll(() => {
    kernel = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    bias = tf.tensor1d([10, 20, 30]);
  });

  it('is x·kernel + bias', async () => {
    expect(
      await linear(
        tf.tensor2d([
          [1, 0],
          [0, 1],
          [1, 1],
        ]),
        { kernel, bias, dtype: 'float32' },
      ).array(),
    ).toEqual([
      [11, 22, 33],
      [14, 25, 36],
      [15, 27, 39],
    ]);
  });

  it('works over the last axis of any rank, and without bias', async () => {
    const x = tf.ones([2, 3, 4, 2]) as tf.Tensor4D;
    const got = linear(x, { kernel, dtype: 'float32' });
    expect(got.shape).toEqual([2, 3, 4, 3]);
    expect(Array.from((await got.data()).slice(-3))).toEqual([5, 7, 9]);
  });
});
