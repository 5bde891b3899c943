import * as tf from '@tensorflow/tfjs-core';
import { ATTENTION_MEMORY_BUDGET, attention, crossAttention, keyBias, selfAttention } from '../../src/ops/attention.ts';
import { expectBitEqual, relativeL2, relativeL2Of } from '../support/compare.ts';
import { expectNoLeak } from '../support/memory.ts';
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

describe('crossAttention', () => {
  it('reads keys and values as k | v, each split head-major, and queries alike', async () => {
    const [n, t, l, h, d] = [2, 5, 4, 3, 4] as const;
    const q = randomTensor<tf.Tensor3D>([n, t, h * d], 5);
    const kv = randomTensor<tf.Tensor3D>([n, l, 2 * h * d], 6);
    const [queries, pairs] = await Promise.all([q.array(), kv.array()]);
    const columns = (rows: number[][], from: number) => rows.map((row) => row.slice(from, from + d));
    const want = queries.flatMap((rows, sample) => {
      const heads = Array.from({ length: h }, (_, head) => {
        const pair = pairs[sample]!;
        return attend(columns(rows, head * d), columns(pair, head * d), columns(pair, (h + head) * d));
      });
      return rows.flatMap((_, token) => heads.flatMap((head) => head[token]!));
    });
    const got = crossAttention(q, kv, h);
    expect(got.shape).toEqual([n, t, h * d]);
    expect(relativeL2Of(await got.data(), want)).toBeLessThan(1e-6);
  });
});

describe('masked keys', () => {
  it('count as if they were not there, in each sample its own', async () => {
    const [q, k, v] = [[2, 3, 5, 4] as const, [2, 3, 7, 4] as const, [2, 3, 7, 4] as const].map((shape, i) =>
      randomTensor<tf.Tensor4D>(shape, i + 1, 3),
    ) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
    const lengths = [4, 1]; // keys that are kept; the second sample keeps one
    const mask = tf.tensor2d(lengths.map((length) => Array.from({ length: 7 }, (_, key) => (key < length ? 1 : 0))));
    const got = attention(q, k, v, { bias: keyBias(mask) });
    for (const [sample, length] of lengths.entries()) {
      const own = (x: tf.Tensor4D, count: number) => tf.slice(x, [sample, 0, 0, 0], [1, 3, count, 4]);
      const want = attention(own(q, 5), own(k, length), own(v, length));
      expect(await relativeL2(own(got, 5), want)).toBeLessThan(1e-6);
    }
    const onlyValue = tf.tile(tf.slice(v, [1, 0, 0, 0], [1, 3, 1, 4]), [1, 1, 5, 1]);
    expect(await relativeL2(tf.slice(got, [1, 0, 0, 0], [1, 3, 5, 4]), onlyValue)).toBeLessThan(1e-6);
  });

  it('have a bias of −10000, the others of 0', async () => {
    const bias = keyBias(tf.tensor2d([[1, 0, 1]]));
    expect(bias.shape).toEqual([1, 1, 1, 3]);
    expect(Array.from(await bias.data(), (value) => value + 0)).toEqual([0, -10_000, 0]);
  });
});

describe('tiles of queries', () => {
  const rowBytes = (n: number, h: number, s: number) => 2 * n * h * s * 4; // scores and their softmax

  it.each([1, 2, 3, 5, 7, 8, 100])('of %d rows change nothing but rounding', async (rows) => {
    const [n, h, t, s, d] = [2, 3, 7, 5, 4];
    const q = randomTensor<tf.Tensor4D>([n, h, t, d], 1, 2);
    const k = randomTensor<tf.Tensor4D>([n, h, s, d], 2, 2);
    const v = randomTensor<tf.Tensor4D>([n, h, s, d], 3);
    const memoryBudget = rows * rowBytes(n, h, s);
    const whole = attention(q, k, v, { memoryBudget: Number.POSITIVE_INFINITY });
    expect(await relativeL2(attention(q, k, v, { memoryBudget }), whole)).toBeLessThan(1e-6);
    const bias = keyBias(
      tf.tensor2d(
        Array.from({ length: n * s }, (_, i) => Number(i % s < 3)),
        [n, s],
      ),
    );
    const masked = attention(q, k, v, { bias, memoryBudget: Number.POSITIVE_INFINITY });
    expect(await relativeL2(attention(q, k, v, { bias, memoryBudget }), masked)).toBeLessThan(1e-6);
  });

  it('are one row at least, however small the budget', async () => {
    const x = randomTensor<tf.Tensor4D>([1, 2, 6, 4], 4);
    expect(await relativeL2(attention(x, x, x, { memoryBudget: 0 }), attention(x, x, x))).toBeLessThan(1e-6);
  });

  it('hold 4,096 tokens within their budget, and give what one matrix of scores does', async () => {
    const [q, k, v] = [1, 2, 3].map((seed) => randomTensor<tf.Tensor4D>([1, 2, 4096, 4], seed)) as Three;
    const memoryBudget = 32 * 2 ** 20;
    const whole = attention(q, k, v, { memoryBudget: Number.POSITIVE_INFINITY });
    const { peak, result } = await peakBytes(() => attention(q, k, v, { memoryBudget }));
    expect(await relativeL2(result, whole)).toBeLessThan(1e-6);
    const output = 2 * result.size * 4; // the tiles' parts, and all of them joined
    const [scaled, transposed] = [q.size * 4, k.size * 4];
    expect(peak).toBeLessThanOrEqual(memoryBudget + output + scaled + transposed);
    expect(peak).toBeGreaterThan(memoryBudget / 2);
    tf.dispose([q, k, v, whole, result]);
  });

  it('are taken where the scores need more than 256 MiB, and leak nothing', async () => {
    expect(ATTENTION_MEMORY_BUDGET).toBe(256 * 2 ** 20);
    const [h, s] = [16, 4096];
    const rows = ATTENTION_MEMORY_BUDGET / rowBytes(1, h, s);
    expect(rows).toBe(512); // of 4,096 queries: PixArt at 1024 pixels
    const q = tf.zeros([1, h, rows + 1, 1]) as tf.Tensor4D;
    const k = tf.zeros([1, h, s, 1]) as tf.Tensor4D;
    await expectNoLeak(async () => {
      const { peak, result } = await peakBytes(() => attention(q, k, k));
      expect(peak).toBeLessThan(1.02 * ATTENTION_MEMORY_BUDGET);
      result.dispose();
    });
    tf.dispose([q, k]);
  });

  it('are not needed below it: the same numbers bit for bit', async () => {
    const x = randomTensor<tf.Tensor4D>([1, 2, 6, 4], 4);
    await expectBitEqual(attention(x, x, x), attention(x, x, x, { memoryBudget: Number.POSITIVE_INFINITY }));
  });
});

type Three = [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];

/** Runs `work` and says by how many bytes its tensors exceeded what was held before, at the most. */
async function peakBytes(work: () => tf.Tensor4D): Promise<{ peak: number; result: tf.Tensor4D }> {
  const before = tf.memory().numBytes;
  let result: tf.Tensor4D | undefined;
  const profile = await tf.profile(() => {
    result = work();
    return result;
  });
  return { peak: profile.peakBytes - before, result: result! };
}
