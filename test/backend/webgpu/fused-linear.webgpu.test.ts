import * as tf from '@tensorflow/tfjs-core';
import { loadFusedShaders } from '../../../src/backend/webgpu/fused-kernels.ts';
import {
  adaLNVectors,
  type LinearWeights,
  linear,
  linearGelu,
  linearResidual,
  normLinear,
  normLinearGelu,
} from '../../../src/ops/linear.ts';
import { expectBitEqual } from '../../support/compare.ts';
import { expectAgreement } from '../../support/fused-agreement.ts';
import { HALVES, roundedKernel } from '../../support/half-weights.ts';
import { expectNoLeak } from '../../support/memory.ts';
import { randomTensor } from '../../support/random-weights.ts';

beforeAll(() => {
  loadFusedShaders(tf.backend());
});

/**
 * N, T, in, out: few rows and tiles of 32, then tiles of 64, each with widths of vectors and odd ones; whole tiles and one
 * row, column or element more; two words of 16-bit weights in the last vector of columns, and one.
 */
const SIZES = [
  [1, 1, 1, 2],
  [1, 3, 289, 130],
  [2, 8, 64, 72],
  [2, 33, 64, 68],
  [1, 65, 37, 66],
] as const;
const LARGE = [
  [1, 1030, 16, 516],
  [2, 520, 19, 514],
] as const;

/** Weights rounded to each 16-bit type: as they are held, and the same numbers in float32. */
async function rounded(weights: LinearWeights): Promise<{ half: LinearWeights; widened: LinearWeights }[]> {
  return Promise.all(
    HALVES.map(async (dtype) => {
      const { held, widened } = await roundedKernel(weights.kernel, dtype, 'int32');
      return { half: { ...weights, kernel: held, dtype }, widened: { ...weights, kernel: widened } };
    }),
  );
}

function operands([n, t, features, out]: readonly [number, number, number, number]) {
  const x = tf.tidy(() => tf.add(randomTensor<tf.Tensor3D>([n, t, features], 1), 0.5)) as tf.Tensor3D;
  const kernel = randomTensor<tf.Tensor2D>([features, out], 2, features ** -0.5);
  const bias = randomTensor<tf.Tensor1D>([out], 3);
  const [shift, scale] = [4, 5].map((seed) => randomTensor<tf.Tensor2D>([n, features], seed)) as [Matrix, Matrix];
  const [stream, gate] = [randomTensor<tf.Tensor3D>([n, t, out], 6), randomTensor<tf.Tensor2D>([n, out], 7)];
  return { x, kernel, bias, norm: { shift, scale, eps: 1e-6 }, stream, gate };
}

type Matrix = tf.Tensor2D;

/** Expects a seat to give on weights of 16 bits what its composition gives on the same numbers in float32. */
function expectSame(
  seat: (weights: LinearWeights) => tf.Tensor,
  half: LinearWeights,
  widened: LinearWeights,
): Promise<void> {
  return expectAgreement(
    () => seat(half),
    undefined,
    () => seat(widened),
  );
}

describe('the composition and the shader', () => {
  it.each(SIZES)('all linears agree on [%d,%d,%d] → %d', async (...size) => {
    const { x, kernel, bias, norm, stream, gate } = operands(size);
    const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
    const kept = x.clone();
    const joined = (weights: LinearWeights) => linearResidual(x, weights, { x: stream, gate });
    await expectAgreement(() => linear(x, weights));
    await expectAgreement(() => normLinearGelu(x, norm, weights));
    await expectAgreement(() => joined(weights));
    for (const { half, widened } of await rounded(weights)) await expectSame(joined, half, widened); // alike in each seat
    await expectBitEqual(x, kept);
  });

  it.each(LARGE)('linears agree on [%d,%d,%d] → %d', async (...size) => {
    const { x, kernel, bias, stream, gate } = operands(size);
    const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
    const seat = (weights: LinearWeights) => linearResidual(x, weights, { x: stream, gate });
    await expectAgreement(() => seat(weights));
    for (const { half, widened } of await rounded(weights)) await expectSame(seat, half, widened);
  });

  it('linears agree on weights that are subnormal in float16', async () => {
    const { x, kernel, bias } = operands([1, 5, 64, 66]);
    const tiny = tf.mul<tf.Tensor2D>(kernel, 2 ** -14);
    const seat = (weights: LinearWeights) => linear(x, weights);
    const scaled = tf.mul<tf.Tensor1D>(bias, 2 ** -14);
    for (const { half, widened } of await rounded({ kernel: tiny, bias: scaled, dtype: 'float32' }))
      await expectSame(seat, half, widened);
  });

  it('the other seats agree, and linears without a bias', async () => {
    const { x, kernel, bias, norm, stream } = operands([2, 17, 12, 20]);
    const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
    await expectAgreement(() => linear(x, { kernel, dtype: 'float32' }));
    await expectAgreement(() => linearGelu(x, weights));
    await expectAgreement(() => normLinear(x, norm, weights));
    await expectAgreement(() => linearResidual(x, weights, { x: stream }));
  });

  it.each([1, 2, 4, 5])('rank %d agrees', async (rank) => {
    const shape = [...Array(rank - 1).fill(3), 8];
    const weights: LinearWeights = { kernel: randomTensor([8, 6], 2), bias: randomTensor([6], 3), dtype: 'float32' };
    const x = randomTensor(shape, 1);
    await expectAgreement(() => linear(x, weights));
  });

  it.each([
    [1, 1, 6, 6],
    [2, 300, 1156, 2],
    [20, 65, 36, 6],
  ] as const)('adaLNVectors agree on [%d,%d] → %d in %d parts', async (n, features, out, parts) => {
    const kernel = randomTensor<tf.Tensor2D>([features, out], 2, features ** -0.5);
    const c = randomTensor<tf.Tensor2D>([n, features], 1);
    const weights: LinearWeights = { kernel, bias: randomTensor([out], 3), dtype: 'float32' };
    const joined = (weights: LinearWeights) => tf.tidy(() => tf.concat(adaLNVectors(c, weights, parts), 1));
    await expectAgreement(() => joined(weights));
    for (const { half, widened } of await rounded(weights)) await expectSame(joined, half, widened);
    expect(adaLNVectors(c, weights, parts).map(({ shape }) => shape)).toEqual(Array(parts).fill([n, out / parts]));
  });
});

it('sum up alike, whatever is done with the sums', async () => {
  const { x, kernel, bias } = operands([2, 33, 24, 40]);
  const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
  const none = tf.zeros([2, 33, 40]) as tf.Tensor3D;
  await expectBitEqual(linearResidual(x, weights, { x: none, gate: tf.ones([2, 40]) }), linear(x, weights));
});

it('refuse shapes and types that do not fit, and leave nothing', async () => {
  const x = tf.ones([2, 4, 12]) as tf.Tensor3D;
  const weights: LinearWeights = { kernel: tf.ones([12, 8]), dtype: 'float32' };
  const wrong = tf.ones([2, 11]) as tf.Tensor2D;
  const [bias, c] = [tf.ones([4]) as tf.Tensor1D, tf.ones([2, 12]) as tf.Tensor2D];
  await expectNoLeak(() => {
    expect(() => linear(wrong, weights)).toThrow('expected x [...,in], kernel [in,out] float32 and bias [out]');
    expect(() => linear(x, { ...weights, bias })).toThrow('and bias [out]; got x [2,4,12], kernel [12,8], bias [4]');
    for (const dtype of HALVES) expect(() => linear(x, { ...weights, dtype })).toThrow('kernel [in,out/2] int32');
    expect(() => normLinear(x, { shift: wrong, scale: wrong, eps: 1e-6 }, weights)).toThrow('shift [N,D]');
    expect(() => adaLNVectors(c, weights, 3)).toThrow('out a multiple of 3');
    expect(() => linearResidual(x, weights, { x })).toThrow('expected residual [N,T,out] and gate [N,out]');
  });
});
