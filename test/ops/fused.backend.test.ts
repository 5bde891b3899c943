import * as tf from '@tensorflow/tfjs-core';
import { geluTanh } from '../../src/ops/activations.ts';
import { crossAttention, keyBias, multiHeadAttention, selfAttention } from '../../src/ops/attention.ts';
import {
  groupMoments,
  groupNorm,
  groupNormSilu,
  normaliseGroups,
  normaliseGroupsSilu,
} from '../../src/ops/group-norm.ts';
import { gateResidual, layerNormModulate } from '../../src/ops/layer-norm.ts';
import { keyMask, relativeAttention } from '../../src/ops/relative-attention.ts';
import { weightedSum } from '../../src/ops/weighted-sum.ts';
import { expectBitEqual } from '../support/compare.ts';
import { byEachInstructionSet, expectAgreement } from '../support/fused-agreement.ts';
import { expectNoLeak } from '../support/memory.ts';
import { randomTensor } from '../support/random-weights.ts';

const SIZES = [
  [1, 1, 1],
  [2, 1, 5],
  [1, 3, 16],
  [2, 7, 37],
  [3, 33, 64],
  [2, 130, 300],
] as const;
/** N, T, heads, size of a head: no multiples of a vector or a tile, one of each, whole tiles and one more. */
const HEADS = [
  [1, 1, 1, 5],
  [2, 1, 3, 7],
  [1, 2, 16, 72],
  [2, 5, 2, 33],
  [1, 127, 1, 8],
  [1, 128, 2, 16],
  [1, 129, 2, 17],
  [1, 133, 2, 24],
  [1, 257, 3, 72],
  [1, 40, 1, 512],
] as const;

byEachInstructionSet(agreements);

/** @param isThere whether this processor has the instructions; `beforeAll` notes what it lacks */
function agreements(isThere: () => boolean): void {
  it.each(SIZES)('layerNormModulate agree on [%d,%d,%d]', async (n, t, d) => {
    if (!isThere()) return;
    const x = tf.tidy(() => tf.add(randomTensor<tf.Tensor3D>([n, t, d], 1), 0.5)) as tf.Tensor3D;
    const [shift, scale] = [randomTensor<tf.Tensor2D>([n, d], 2), randomTensor<tf.Tensor2D>([n, d], 3)];
    for (const eps of [1e-6, 1e-5]) await expectAgreement(() => layerNormModulate(x, shift, scale, eps));
  });

  it.each(SIZES)('gateResidual agree on [%d,%d,%d]', async (n, t, d) => {
    if (!isThere()) return;
    const [x, raw] = [randomTensor<tf.Tensor3D>([n, t, d], 1), randomTensor<tf.Tensor3D>([n, t, d], 2)];
    const gate = randomTensor<tf.Tensor2D>([n, d], 3);
    await expectAgreement(() => gateResidual(x, raw, gate));
  });

  it.each(SIZES)('weightedSum agree on [%d,%d,%d]', async (n, t, d) => {
    if (!isThere()) return;
    const [a, b, c] = [1, 2, 3].map((seed) => randomTensor<tf.Tensor3D>([n, t, d], seed));
    await expectAgreement(() => weightedSum({ tensors: [a!], weights: [-0.5] }));
    await expectAgreement(() => weightedSum({ tensors: [a!, b!], weights: [2, -1] }));
    await expectAgreement(() => weightedSum({ tensors: [a!, b!, c!, a!], weights: [1, 0, -3, 0.25] }));
  });

  it('geluTanh agree, far out and on a scalar too', async () => {
    if (!isThere()) return;
    const x = tf.tensor1d([-1e30, -200, -88, -30, -6, -1, -1e-3, 0, 1e-3, 1, 6, 30, 88, 200, 1e30]);
    await expectAgreement(() => geluTanh(x));
    const [scalar, many] = [tf.scalar(1.5), randomTensor([3, 50_000], 1, 4)];
    await expectAgreement(() => geluTanh(scalar));
    await expectAgreement(() => geluTanh(many));
    expect(Array.from(await geluTanh(tf.tensor1d([Number.NaN, 0])).data())).toEqual([Number.NaN, 0]);
  });

  it.each(HEADS)('selfAttention agree: %d samples, %d tokens, %d heads of %d', async (n, t, h, d) => {
    if (!isThere()) return;
    const qkv = randomTensor<tf.Tensor3D>([n, t, 3 * h * d], 1, 2);
    await expectAgreement(() => selfAttention(qkv, h));
  });

  it('selfAttention agree on 4,096 tokens, without a matrix of scores', async () => {
    if (!isThere()) return;
    const qkv = randomTensor<tf.Tensor3D>([1, 4096, 3 * 2 * 40], 1, 2);
    await expectAgreement(() => selfAttention(qkv, 2));
  });

  it('selfAttention agree where scores overflow exp', async () => {
    if (!isThere()) return;
    const qkv = tf.tidy(() => tf.mul(randomTensor<tf.Tensor3D>([1, 150, 3 * 8], 1, 2), 30)) as tf.Tensor3D;
    await expectAgreement(() => selfAttention(qkv, 1), 1e-4); // scores of thousands have three digits behind the point
  });

  it.each(HEADS)('crossAttention agree: %d samples, %d tokens, %d heads of %d', async (n, t, h, d) => {
    if (!isThere()) return;
    for (const s of [1, 5, 120, 300]) {
      const [q, kv] = [
        randomTensor<tf.Tensor3D>([n, t, h * d], 1, 2),
        randomTensor<tf.Tensor3D>([n, s, 2 * h * d], 2, 2),
      ];
      await expectAgreement(() => crossAttention(q, kv, h));
      // the first sample keeps its first key only, the others all but their last
      const kept = Array.from({ length: n }, (_, i) =>
        Array.from({ length: s }, (_, key) => key < (i === 0 ? 1 : s - 1)),
      );
      const mask = tf.tensor2d(kept.map((row) => row.map((is, key) => Number(is || key === 0))));
      const bias = keyBias(mask);
      await expectAgreement(() => crossAttention(q, kv, h, { bias }));
      tf.dispose([q, kv, mask, bias]);
    }
  });

  it('crossAttention weigh all keys where all are masked', async () => {
    if (!isThere()) return;
    const [q, kv] = [randomTensor<tf.Tensor3D>([2, 9, 16], 1), randomTensor<tf.Tensor3D>([2, 140, 32], 2)];
    const bias = keyBias(tf.zeros([2, 140]));
    await expectAgreement(() => crossAttention(q, kv, 2, { bias }), 1e-3); // 10,000 leaves scores three digits
  });

  it.each([
    [1, 1, 1, 1, 64],
    [2, 9, 7, 1, 512],
    [1, 300, 300, 1, 512],
    [1, 133, 131, 2, 24],
  ] as const)('multiHeadAttention agree: %d samples, %d queries, %d keys, %d heads of %d', async (n, t, s, h, d) => {
    if (!isThere()) return;
    const [q, k, v] = [t, s, s].map((tokens, i) => randomTensor<tf.Tensor3D>([n, tokens, h * d], i + 1, 2)) as Three;
    await expectAgreement(() => multiHeadAttention(q, k, v, h));
    const bias = keyBias(
      tf.tensor2d(Array.from({ length: n }, () => Array.from({ length: s }, (_, i) => (i + 1) % 2))),
    );
    await expectAgreement(() => multiHeadAttention(q, k, v, h, { bias }));
  });

  it('multiHeadAttention agree on 4,096 pixels', async () => {
    if (!isThere()) return;
    const [q, k, v] = [1, 2, 3].map((seed) => randomTensor<tf.Tensor3D>([1, 4096, 64], seed)) as Three;
    await expectAgreement(() => multiHeadAttention(q, k, v, 1));
  });

  it.each([
    [1, 1, 1, 5],
    [2, 5, 2, 33],
    [3, 77, 2, 64],
    [2, 133, 3, 16],
    [1, 300, 2, 64],
  ] as const)('relativeAttention agree: %d samples, %d tokens, %d heads of %d', async (n, length, h, d) => {
    if (!isThere()) return;
    const [q, k, v] = [1, 2, 3].map((seed) => randomTensor<tf.Tensor3D>([n, length, h * d], seed, d ** -0.25)) as Three;
    const bias = randomTensor<tf.Tensor4D>([1, h, length, length], 4, 3);
    // all keys kept; the first only; none
    const kept = [() => 1, (key: number) => Number(key === 0), () => 0].slice(0, n);
    const mask = keyMask(kept.map((is) => Array.from({ length }, (_, key) => is(key))));
    await expectAgreement(() => relativeAttention(q, k, v, bias, mask));
  });

  it.each([
    [1, 1, 1, 1, 1],
    [2, 3, 2, 6, 2],
    [1, 5, 7, 12, 3],
    [1, 64, 48, 32, 32],
    [2, 40, 40, 96, 32],
  ] as const)('groupNorm agree on [%d,%d,%d,%d] in %d groups', async (n, height, width, channels, groups) => {
    if (!isThere()) return;
    const x = tf.tidy(() => tf.add(randomTensor([n, height, width, channels], 1), 3)) as tf.Tensor4D;
    const [weight, bias] = [randomTensor<tf.Tensor1D>([channels], 2), randomTensor<tf.Tensor1D>([channels], 3)];
    await expectAgreement(() => groupNorm(x, groups, weight, bias, 1e-6));
    await expectAgreement(() => groupNormSilu(x, groups, weight, bias, 1e-6));
    await expectAgreement(() => keep(groupMoments(x, groups), 'mean'));
    if (height > 1) await expectAgreement(() => keep(groupMoments(x, groups), 'variance'));
    const moments = {
      mean: tf.ones([n, 1, groups, 1]) as tf.Tensor4D,
      variance: tf.fill([n, 1, groups, 1], 4) as tf.Tensor4D,
    };
    await expectAgreement(() => normaliseGroups(x, moments, { weight, bias, eps: 1e-6 }));
    await expectAgreement(() => normaliseGroupsSilu(x, moments, { weight, bias, eps: 1e-6 }));
  });

  it('give the same numbers bit for bit, however often they run', async () => {
    if (!isThere()) return;
    const qkv = randomTensor<tf.Tensor3D>([2, 200, 3 * 64], 1);
    const x = randomTensor<tf.Tensor4D>([1, 64, 64, 32], 2);
    const [first, moments] = [selfAttention(qkv, 4), groupMoments(x, 8)];
    for (let i = 0; i < 20; i++) {
      await expectBitEqual(selfAttention(qkv, 4), first);
      await expectBitEqual(groupMoments(x, 8).variance, moments.variance);
    }
  });

  it('refuse shapes that do not fit, and leave nothing', async () => {
    if (!isThere()) return;
    const x = tf.ones([2, 4, 12]) as tf.Tensor3D;
    const wrong = tf.ones([2, 11]) as tf.Tensor2D;
    const [kept, flat] = [tf.ones([2, 3, 12]) as tf.Tensor3D, tf.ones([1, 1, 1, 4]) as tf.Tensor4D];
    await expectNoLeak(() => {
      expect(() => layerNormModulate(x, wrong, wrong, 1e-6)).toThrow('expected x [N,T,D], shift [N,D] and scale [N,D]');
      expect(() => gateResidual(x, x, wrong)).toThrow('expected x [N,T,D], raw [N,T,D] and gate [N,D]');
      expect(() => weightedSum({ tensors: [x, kept], weights: [1, 2] })).toThrow('expected tensors of one shape');
      expect(() => selfAttention(x, 3)).toThrow('expected qkv [N,T,3D] with D a multiple of the number of heads');
      expect(() => crossAttention(x, x, 2)).toThrow('expected q [N,T,D] and kv [N,S,2D]');
      expect(() => multiHeadAttention(x, x, x, 5)).toThrow('expected q [N,T,D], k [N,S,D] and v [N,S,D]');
      expect(() => multiHeadAttention(x, x, kept, 2)).toThrow('expected q [N,T,D], k [N,S,D] and v [N,S,D]');
      expect(() => multiHeadAttention(x, x, x, 2, { bias: flat })).toThrow('expected a mask [N,1,1,S]');
      expect(() => relativeAttention(x, x, x, flat, flat)).toThrow('expected a bias [1,heads,T,S]');
    });
  });
}

type Three = [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];

function keep(moments: { mean: tf.Tensor; variance: tf.Tensor }, name: 'mean' | 'variance'): tf.Tensor {
  const { [name]: kept } = moments;
  tf.dispose([moments.mean, moments.variance].filter((tensor) => tensor !== kept));
  return kept;
}
