import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as tf from '@tensorflow/tfjs-core';
import { joinHeads } from '../../src/ops/attention.ts';
import { keyMask, relativeAttention, relativeBucket, relativeBuckets } from '../../src/ops/relative-attention.ts';
import { relativeL2 } from '../support/compare.ts';
import type { Fixture } from '../support/fixtures.ts';
import { readT5Fixture, rowsOf, T5_FIXTURES } from '../support/tiny-t5.ts';

interface BucketTable {
  readonly numBuckets: number;
  readonly maxDistance: number;
  readonly firstOffset: number;
  readonly buckets: number[];
}

const { tables } = JSON.parse(readFileSync(join(T5_FIXTURES, 'buckets.json'), 'utf8')) as { tables: BucketTable[] };

describe('relativeBucket', () => {
  it.each(tables)('is that of transformers: $numBuckets buckets up to $maxDistance', (table) => {
    expect(table.buckets.map((_, i) => relativeBucket(table.firstOffset + i, table))).toEqual(table.buckets);
  });
});

describe('relativeBuckets', () => {
  it('takes the query by row and the key by column', async () => {
    const buckets = relativeBuckets(3, { numBuckets: 32, maxDistance: 128 });
    expect(buckets.dtype).toBe('int32');
    expect(await buckets.array()).toEqual([
      [0, 17, 18],
      [1, 0, 17],
      [2, 1, 0],
    ]);
  });
});

describe('relativeAttention', () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await readT5Fixture('attention');
  });
  const joined = (name: string) => joinHeads(fixture.tensor<tf.Tensor4D>(name)); // [N,h,L,d] → [N,L,h·d]

  it('is that of transformers, also where the mask leaves one key, has holes, or leaves none', async () => {
    const mask = keyMask(rowsOf(fixture, 'mask'));
    const bias = fixture.tensor<tf.Tensor4D>('bias');
    const got = relativeAttention(joined('q'), joined('k'), joined('v'), bias, mask);
    expect(await relativeL2(got, joined('output'))).toBeLessThan(1e-6);
  });

  it('gives masked keys no weight at all', async () => {
    const [mask] = [keyMask([[1, 0, 1]])];
    expect(Array.from(await mask.data())).toEqual([0, Math.fround(-3.4e38), 0]);
  });
});
