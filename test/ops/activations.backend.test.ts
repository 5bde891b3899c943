import * as tf from '@tensorflow/tfjs-core';
import { geluTanh, silu } from '../../src/ops/activations.ts';

const INPUTS = [-30, -6, -3, -2, -1, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 2, 3, 6, 30];

async function expectNear(got: tf.Tensor, want: readonly number[], tolerance: number): Promise<void> {
  const values = await got.data();
  want.forEach((value, i) => {
    expect(Math.abs((values[i] ?? Number.NaN) - value)).toBeLessThanOrEqual(tolerance);
  });
}

describe('activations', () => {
  it('geluTanh is the tanh approximation of GELU, not the exact one', async () => {
    const want = INPUTS.map((x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))));
    // the two forms are up to 4.7e-4 apart, near x = ±2.3
    await expectNear(geluTanh(tf.tensor1d(INPUTS)), want, 1e-6);
  });

  it('silu is x·σ(x), without overflow far out', async () => {
    await expectNear(
      silu(tf.tensor1d(INPUTS)),
      INPUTS.map((x) => x / (1 + Math.exp(-x))),
      2e-6,
    );
  });

  it('keeps the shape', () => {
    expect(geluTanh(tf.zeros([2, 3, 4])).shape).toEqual([2, 3, 4]);
    expect(silu(tf.zeros([2, 3])).shape).toEqual([2, 3]);
  });
});
