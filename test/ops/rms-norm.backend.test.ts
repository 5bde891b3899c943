import * as tf from '@tensorflow/tfjs-core';
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { relativeL2Of } from '../support/compare.ts';
import { randomTensor } from '../support/random-weights.ts';

/** x / √(mean(x²) + eps) · weight, in double precision. */
async function expected(x: tf.Tensor3D, weight: tf.Tensor1D, eps: number): Promise<number[]> {
  const scales = await weight.data();
  return (await x.array()).flat().flatMap((row) => {
    const meanSquare = row.reduce((sum, value) => sum + value * value, 0) / row.length;
    return row.map((value, i) => (value / Math.sqrt(meanSquare + eps)) * scales[i]!);
  });
}

describe('rmsNorm', () => {
  const weight = () => randomTensor<tf.Tensor1D>([8], 2);

  it.each([1e-6, 1e-5])('adds eps %d to the mean square', async (eps) => {
    const x = randomTensor<tf.Tensor3D>([2, 3, 8], 1, 2e-3); // so small that another eps shows
    expect(relativeL2Of(await rmsNorm(x, weight(), eps).data(), await expected(x, weight(), eps))).toBeLessThan(1e-6);
  });

  it('subtracts no mean', async () => {
    const x = tf.add(randomTensor<tf.Tensor3D>([1, 4, 8], 3), 10) as tf.Tensor3D;
    expect(relativeL2Of(await rmsNorm(x, weight(), 1e-6).data(), await expected(x, weight(), 1e-6))).toBeLessThan(1e-6);
  });
});
