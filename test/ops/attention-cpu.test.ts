import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../src/backend/select.ts';
import { attention, keyBias } from '../../src/ops/attention.ts';
import { relativeL2 } from '../support/compare.ts';
import { randomTensor } from '../support/random-weights.ts';

it('tiles of queries change nothing but rounding on the backend in plain JavaScript either', async () => {
  await useBackend('cpu');
  expect(tf.getBackend()).toBe('cpu');
  const [q, k] = [randomTensor<tf.Tensor4D>([2, 3, 7, 4], 1, 2), randomTensor<tf.Tensor4D>([2, 3, 5, 4], 2, 2)];
  const bias = keyBias(tf.tensor2d([1, 1, 1, 0, 0, 1, 0, 0, 0, 0], [2, 5]));
  const whole = attention(q, k, k, { bias, memoryBudget: Number.POSITIVE_INFINITY });
  for (const memoryBudget of [0, 800, 1500]) // one row, two, four
    expect(await relativeL2(attention(q, k, k, { bias, memoryBudget }), whole)).toBeLessThan(1e-6);
});
