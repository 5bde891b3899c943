import * as tf from '@tensorflow/tfjs-core';
import { loadFusedShaders } from '../../../src/backend/webgpu/fused-kernels.ts';
import { crossAttention, keyBias, multiHeadAttention, selfAttention } from '../../../src/ops/attention.ts';
import { keyMask, relativeAttention } from '../../../src/ops/relative-attention.ts';
import { expectBitEqual } from '../../support/compare.ts';
import { expectAgreement } from '../../support/fused-agreement.ts';
import { expectNoLeak } from '../../support/memory.ts';
import { randomTensor } from '../../support/random-weights.ts';

beforeAll(() => {
  loadFusedShaders(tf.backend());
});

type Three = [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];

/** N, T, heads, size of a head: one of each, whole tiles of 32 and one more, odd sizes, those of DiT and PixArt. */
const HEADS = [
  [1, 1, 1, 5],
  [2, 33, 3, 5],
  [2, 1, 2, 64],
  [1, 32, 2, 64],
  [2, 97, 2, 72],
] as const;

/** The first sample keeps its first key only, the others all but their last. */
function oneKept(n: number, s: number): tf.Tensor4D {
  const kept = (i: number, key: number) => key === 0 || key < (i === 0 ? 1 : s - 1);
  const rows = Array.from({ length: n }, (_, i) => Array.from({ length: s }, (_, key) => Number(kept(i, key))));
  return tf.tidy(() => keyBias(tf.tensor2d(rows)));
}

describe('the composition and the shader', () => {
  it.each(HEADS)('selfAttention agree: %d samples, %d tokens, %d heads of %d', async (n, t, h, d) => {
    const qkv = randomTensor<tf.Tensor3D>([n, t, 3 * h * d], 1, 2);
    await expectAgreement(() => selfAttention(qkv, h));
  });

  it.each(HEADS)('crossAttention agree: %d samples, %d tokens, %d heads of %d', async (n, t, h, d) => {
    const q = randomTensor<tf.Tensor3D>([n, t, h * d], 1, 2);
    for (const s of [1, 40]) {
      const [kv, bias] = [randomTensor<tf.Tensor3D>([n, s, 2 * h * d], 2, 2), oneKept(n, s)];
      await expectAgreement(() => crossAttention(q, kv, h));
      await expectAgreement(() => crossAttention(q, kv, h, { bias }));
    }
  });

  it('agree on 4,096 tokens, without a matrix of scores', async () => {
    const [q, kv] = [randomTensor<tf.Tensor3D>([1, 4096, 5], 1, 2), randomTensor<tf.Tensor3D>([1, 4096, 10], 2, 2)];
    const before = tf.memory().numBytes;
    let got: tf.Tensor3D | undefined;
    const { peakBytes } = await tf.profile(() => {
      got = crossAttention(q, kv, 1);
      return got;
    });
    expect(peakBytes - before).toBe(4096 * 5 * 4);
    for (const first of [0, 2045, 4060]) {
      const rows = (x: tf.Tensor3D) => tf.slice(x, [0, first, 0], [1, 36, 5]);
      const [some, part] = [rows(q), rows(got!)];
      await expectAgreement(
        () => part.clone(),
        undefined,
        () => crossAttention(some, kv, 1),
      );
    }
  });

  it('agree where scores overflow exp', async () => {
    const qkv = tf.tidy(() => tf.mul(randomTensor<tf.Tensor3D>([1, 70, 3 * 5], 1, 2), 30)) as tf.Tensor3D;
    await expectAgreement(() => selfAttention(qkv, 1), 1e-4); // scores of thousands have three digits behind the point
  });

  it('weigh all keys where all are masked', async () => {
    const [q, kv] = [randomTensor<tf.Tensor3D>([2, 9, 10], 1), randomTensor<tf.Tensor3D>([2, 140, 20], 2)];
    const bias = keyBias(tf.zeros([2, 140]));
    await expectAgreement(() => crossAttention(q, kv, 2, { bias }), 1e-3); // 10,000 leaves scores three digits
  });

  it.each([
    [2, 9, 7, 1, 512], // a VAE's head, whose columns four workgroups share
    [1, 33, 70, 2, 130], // as wide as two of them, and not all
  ] as const)('multiHeadAttention agree: %d samples, %d queries, %d keys, %d heads of %d', async (n, t, s, h, d) => {
    const [q, k, v] = [t, s, s].map((tokens, i) => randomTensor<tf.Tensor3D>([n, tokens, h * d], i + 1, 2)) as Three;
    await expectAgreement(() => multiHeadAttention(q, k, v, h));
  });

  it.each([
    [1, 1, 1, 5],
    [2, 77, 2, 5],
    [2, 40, 2, 64],
  ] as const)('relativeAttention agree: %d samples, %d tokens, %d heads of %d', async (n, length, h, d) => {
    const [q, k, v] = [1, 2, 3].map((seed) => randomTensor<tf.Tensor3D>([n, length, h * d], seed, d ** -0.25)) as Three;
    const bias = randomTensor<tf.Tensor4D>([1, h, length, length], 4, 3);
    const kept = [() => 1, (key: number) => Number(key === 0)].slice(0, n); // all; the first only
    const mask = keyMask(kept.map((is) => Array.from({ length }, (_, key) => is(key))));
    await expectAgreement(() => relativeAttention(q, k, v, bias, mask));
  });

  it('relativeAttention weigh all keys alike where all are masked', async () => {
    const [q, k, v] = [1, 2, 3].map((seed) => randomTensor<tf.Tensor3D>([1, 40, 10], seed)) as Three;
    const [bias, mask] = [randomTensor<tf.Tensor4D>([1, 2, 40, 40], 4), keyMask([Array(40).fill(0)])];
    // tfjs's softmax gives NaN on this backend where all scores are the lowest float32
    await expectAgreement(
      () => relativeAttention(q, k, v, bias, mask),
      undefined,
      () => tf.tidy(() => tf.tile(tf.mean(v, 1, true), [1, 40, 1])),
    );
  });
});

it('give the same numbers bit for bit, however often they run', async () => {
  const qkv = randomTensor<tf.Tensor3D>([2, 100, 3 * 10], 1);
  const first = selfAttention(qkv, 2);
  for (let i = 0; i < 5; i++) await expectBitEqual(selfAttention(qkv, 2), first);
});

it('refuse shapes that do not fit, and leave nothing', async () => {
  const x = tf.ones([2, 4, 12]) as tf.Tensor3D;
  const [kept, flat] = [tf.ones([2, 3, 12]) as tf.Tensor3D, tf.ones([1, 1, 1, 4]) as tf.Tensor4D];
  await expectNoLeak(() => {
    expect(() => selfAttention(x, 3)).toThrow('expected qkv [N,T,3D] with D a multiple of the number of heads');
    expect(() => crossAttention(x, x, 2)).toThrow('expected q [N,T,D] and kv [N,S,2D]');
    expect(() => multiHeadAttention(x, x, x, 5)).toThrow('expected q [N,T,D], k [N,S,D] and v [N,S,D]');
    expect(() => multiHeadAttention(x, x, kept, 2)).toThrow('expected q [N,T,D], k [N,S,D] and v [N,S,D]');
    expect(() => multiHeadAttention(x, x, x, 2, { bias: flat })).toThrow('expected a mask [N,1,1,S]');
    expect(() => relativeAttention(x, x, x, flat, flat)).toThrow('expected a bias [1,heads,T,S]');
  });
});
