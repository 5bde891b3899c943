import * as tf from '@tensorflow/tfjs-core';
import { Conv2d } from '../../src/layers/conv2d.ts';
import { UpsampleConv2d } from '../../src/layers/upsample-conv2d.ts';
import { relativeL2 } from '../support/compare.ts';
import { expectNoLeak } from '../support/memory.ts';
import { randomTensor, randomWeights } from '../support/random-weights.ts';

const SIZES = { inChannels: 3, outChannels: 5 };

/** Both with the same weights; `conv` is to be given a doubled picture. */
async function build(): Promise<{ upsample: UpsampleConv2d; conv: Conv2d }> {
  const shapes = new UpsampleConv2d(SIZES).parameterShapes();
  const [first, second] = [await randomWeights(shapes), await randomWeights(shapes)];
  const upsample = new UpsampleConv2d(SIZES, first.scope('layer'));
  const conv = new Conv2d({ ...SIZES, kernelSize: 3 }, second.scope('layer'));
  upsample.build();
  conv.build();
  return { upsample, conv };
}

describe('UpsampleConv2d', () => {
  let layers: Awaited<ReturnType<typeof build>>;
  beforeAll(async () => {
    layers = await build();
  });
  afterAll(() => {
    layers.upsample.dispose();
    layers.conv.dispose();
  });

  const doubled = (x: tf.Tensor4D) =>
    tf.tidy(() => layers.conv.call(tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]])));

  it.each([
    [1, 1, 1, 3],
    [1, 1, 4, 3],
    [2, 5, 1, 3],
    [2, 4, 7, 3],
  ] as const)('is nearest neighbour and then the convolution: [%d,%d,%d,%d]', async (...shape) => {
    const x = randomTensor<tf.Tensor4D>(shape, 1);
    const want = doubled(x);
    await expectNoLeak(async () => {
      const got = layers.upsample.call(x);
      expect(got.shape).toEqual([shape[0], 2 * shape[1], 2 * shape[2], SIZES.outChannels]);
      const distance = await relativeL2(got, want);
      got.dispose();
      expect(distance).toBeLessThan(1e-6);
    });
  });

  it.each([
    [0, 5],
    [0, 1],
    [1, 4],
    [2, 3],
    [4, 5],
  ])('makes rows %d to %d of five as it makes them all', async (first, end) => {
    const x = randomTensor<tf.Tensor4D>([2, 5, 3, 3], 1);
    const [from, to] = [Math.max(0, first - 1), Math.min(5, end + 1)];
    const band = tf.slice(x, [0, from, 0, 0], [-1, to - from, -1, -1]);
    await expectNoLeak(async () => {
      const got = layers.upsample.callBand(band, { above: first === 0, below: end === 5 });
      const want = tf.tidy(() => tf.slice(doubled(x), [0, 2 * first, 0, 0], [-1, 2 * (end - first), -1, -1]));
      expect(got.shape).toEqual(want.shape);
      const distance = await relativeL2(got, want);
      tf.dispose([got, want]);
      expect(distance).toBeLessThan(1e-6);
    });
  });
});
