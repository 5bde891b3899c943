import * as tf from '@tensorflow/tfjs-core';
import { groupMoments, groupNorm, groupNormSilu, mergeGroupMoments } from '../../src/ops/group-norm.ts';
import { gateResidual, layerNorm, layerNormModulate, modulate } from '../../src/ops/layer-norm.ts';
import { relativeL2, relativeL2Of } from '../support/compare.ts';
import { randomTensor } from '../support/random-weights.ts';

/** (x − mean) / √(var + eps) of one group, in double precision, population variance. */
function normalised(values: readonly number[], eps: number): number[] {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  return values.map((x) => (x - mean) / Math.sqrt(variance + eps));
}

describe('layerNorm', () => {
  it.each([1e-6, 1e-5])('uses the population variance and adds eps %d to it', async (eps) => {
    // a variance near eps, so that another eps, or eps added to the deviation, shows
    const x = randomTensor<tf.Tensor3D>([2, 3, 8], 1, 2e-3);
    const want = (await x.array()).flat().flatMap((row) => normalised(row, eps));
    expect(relativeL2Of(await layerNorm(x, eps).data(), want)).toBeLessThan(1e-6);
  });

  it('keeps its digits where the mean is large', async () => {
    const x = tf.add(randomTensor<tf.Tensor3D>([1, 4, 32], 2), 1000) as tf.Tensor3D;
    const want = (await x.array()).flat().flatMap((row) => normalised(row, 1e-6));
    expect(relativeL2Of(await layerNorm(x, 1e-6).data(), want)).toBeLessThan(1e-4);
  });
});

describe('modulate and gateResidual', () => {
  const x = [
    [
      [1, 2],
      [3, 4],
    ],
    [
      [5, 6],
      [7, 8],
    ],
  ];

  it('modulate is x·(1 + scale) + shift, per sample', async () => {
    const got = modulate(
      tf.tensor3d(x),
      tf.tensor2d([
        [10, 20],
        [30, 40],
      ]),
      tf.tensor2d([
        [0, 1],
        [2, -1],
      ]),
    );
    expect(await got.array()).toEqual([
      [
        [11, 24],
        [13, 28],
      ],
      [
        [45, 40],
        [51, 40],
      ],
    ]);
  });

  it('layerNormModulate is one after the other', async () => {
    const tokens = randomTensor<tf.Tensor3D>([2, 3, 8], 3);
    const [shift, scale] = [randomTensor<tf.Tensor2D>([2, 8], 4), randomTensor<tf.Tensor2D>([2, 8], 5)];
    const want = modulate(layerNorm(tokens, 1e-6), shift, scale);
    expect(await relativeL2(layerNormModulate(tokens, shift, scale, 1e-6), want)).toBeLessThan(1e-6);
  });

  it('gateResidual is x + gate·raw, per sample', async () => {
    const raw = tf.tensor3d([
      [
        [1, 1],
        [2, 2],
      ],
      [
        [1, 0],
        [0, 1],
      ],
    ]);
    const got = gateResidual(
      tf.tensor3d(x),
      raw,
      tf.tensor2d([
        [10, 100],
        [-1, -2],
      ]),
    );
    expect(await got.array()).toEqual([
      [
        [11, 102],
        [23, 204],
      ],
      [
        [4, 6],
        [7, 6],
      ],
    ]);
  });
});

describe('groupNorm', () => {
  const [n, h, w, groups, perGroup] = [2, 3, 2, 2, 3] as const;
  const channels = groups * perGroup;

  async function expected(x: tf.Tensor4D, weight: tf.Tensor1D, bias: tf.Tensor1D, eps: number): Promise<number[]> {
    const [values, gain, offset] = await Promise.all([x.data(), weight.data(), bias.data()]);
    const want = new Array<number>(values.length);
    for (let sample = 0; sample < n; sample++) {
      for (let group = 0; group < groups; group++) {
        const places = Array.from({ length: h * w * perGroup }, (_, i) => {
          const pixel = Math.floor(i / perGroup);
          return (sample * h * w + pixel) * channels + group * perGroup + (i % perGroup);
        });
        normalised(
          places.map((at) => values[at]!),
          eps,
        ).forEach((value, i) => {
          const at = places[i]!;
          want[at] = value * gain[at % channels]! + offset[at % channels]!;
        });
      }
    }
    return want;
  }

  it('takes statistics over height, width and the contiguous channels of a group', async () => {
    const x = randomTensor<tf.Tensor4D>([n, h, w, channels], 6, 2e-3);
    const [weight, bias] = [randomTensor<tf.Tensor1D>([channels], 7), randomTensor<tf.Tensor1D>([channels], 8)];
    const want = await expected(x, weight, bias, 1e-6);
    expect(relativeL2Of(await groupNorm(x, groups, weight, bias, 1e-6).data(), want)).toBeLessThan(1e-6);
    const activated = want.map((value) => value / (1 + Math.exp(-value)));
    expect(relativeL2Of(await groupNormSilu(x, groups, weight, bias, 1e-6).data(), activated)).toBeLessThan(1e-6);
  });

  it('keeps its digits on large pictures, whose means are far from zero', async () => {
    const [side, offset] = [256, 30];
    const x = tf.tidy(() => tf.add(randomTensor([1, side, side, 4], 9), offset)) as tf.Tensor4D;
    const values = [...(await x.data())];
    const want = normalised(values, 1e-6);
    const [ones, zeros] = [tf.ones<tf.Rank.R1>([4]), tf.zeros<tf.Rank.R1>([4])];
    expect(relativeL2Of(await groupNorm(x, 1, ones, zeros, 1e-6).data(), want)).toBeLessThan(5e-6);
  });

  it('merges the statistics of parts of different sizes into those of the whole', async () => {
    const x = tf.tidy(() => tf.add(randomTensor([2, 9, 5, channels], 10), 30)) as tf.Tensor4D;
    const [whole, merged] = [
      groupMoments(x, groups),
      mergeGroupMoments(tf.split<tf.Tensor4D>(x, [4, 1, 4], 1).map((part) => groupMoments(part, groups))),
    ];
    expect(merged.count).toBe(whole.count);
    expect(await relativeL2(merged.mean, whole.mean)).toBeLessThan(1e-6);
    expect(await relativeL2(merged.variance, whole.variance)).toBeLessThan(1e-5);
  });
});
