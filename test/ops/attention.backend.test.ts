import * as tf from '@tensorflow/tfjs-core';
import { attention, selfAttention } from '../../src/ops/attention.ts';
import { relativeL2Of } from '../support/compare.ts';
import { randomTensor } from '../support/random-weights.ts';

/** softmax(q·kᵀ/√d)·v of one head, in double precision. */
function attend(q: number[][], k: number[][], v: number[][]): number[][] {
  return q.map((query) => {
    const scores = k.map((key) => key.reduce((sum, value, i) => sum + value * query[i]!, 0) / Math.sqrt(query.length));
    const largest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - largest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return v[0]!.map((_, column) => weights.reduce((sum, weight, row) => sum + (weight / total) * v[row]![column]!, 0));
  });
}

describe('attention', () => {
  it('is scaled dot-product attention, keys and queries of different number', async () => {
    const [q, k, v] = [
      randomTensor<tf.Tensor4D>([2, 3, 5, 4], 1, 2),
      randomTensor<tf.Tensor4D>([2, 3, 7, 4], 2, 2),
      randomTensor<tf.Tensor4D>([2, 3, 7, 4], 3),
    ];
    const [qs, ks, vs] = await Promise.all([q.array(), k.array(), v.array()]);
    const want = qs.flatMap((heads, n) => heads.flatMap((head, h) => attend(head, ks[n]![h]!, vs[n]![h]!).flat()));
    expect(relativeL2Of(await attention(q, k, v).data(), want)).toBeLessThan(1e-6);
  });

  it('survives scores that overflow exp', async () => {
    const x = tf.fill([1, 1, 2, 4], 40) as tf.Tensor4D;
    expect(Array.from(await attention(x, x, tf.ones([1, 1, 2, 4])).data())).toEqual(Array(8).fill(1));
  });
});

describe('selfAttention', () => {
  it('reads features as q | k | v, each split head-major', async () => {
    const [n, t, h, d] = [2, 5, 3, 4] as const;
    const qkv = randomTensor<tf.Tensor3D>([n, t, 3 * h * d], 4);
    const rows = await qkv.array();
    const want: number[] = [];
    for (let sample = 0; sample < n; sample++) {
      const part = (which: number, head: number) =>
        rows[sample]!.map((row) => row.slice((which * h + head) * d, (which * h + head + 1) * d));
      const heads = Array.from({ length: h }, (_, head) => attend(part(0, head), part(1, head), part(2, head)));
      for (let token = 0; token < t; token++) for (const head of heads) want.push(...head[token]!);
    }
    const got = selfAttention(qkv, h);
    expect(got.shape).toEqual([n, t, h * d]);
    expect(relativeL2Of(await got.data(), want)).toBeLessThan(1e-6);
  });
});
