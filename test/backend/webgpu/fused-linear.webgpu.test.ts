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
import { roundedToBfloat16 } from '../../support/bfloat16.ts';
import { expectBitEqual } from '../../support/compare.ts';
import { expectAgreement } from '../../support/fused-agreement.ts';
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

/** As in the file of a checkpoint, but where a GPU changes no bits. */
async function held(kernel: tf.Tensor2D): Promise<{ held: LinearWeights['kernel']; widened: tf.Tensor2D }> {
  const { held, widened } = await roundedToBfloat16(kernel);
  const words = new Int32Array(((await held.data()) as Float32Array).slice().buffer);
  const shape = held.shape;
  held.dispose();
  return { held: tf.tensor2d(words, shape, 'int32'), widened };
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

describe('the composition and the shader', () => {
  it.each(SIZES)('all linears agree on [%d,%d,%d] → %d', async (...size) => {
    const { x, kernel, bias, norm, stream, gate } = operands(size);
    const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
    const { held: words, widened } = await held(kernel);
    const half: LinearWeights = { kernel: words, bias, dtype: 'bfloat16' };
    const kept = x.clone();
    const seats: readonly ((weights: LinearWeights) => tf.Tensor)[] = [
      (weights) => linear(x, weights),
      (weights) => normLinearGelu(x, norm, weights),
      (weights) => linearResidual(x, weights, { x: stream, gate }),
    ];
    for (const seat of seats) {
      await expectAgreement(() => seat(weights));
      await expectAgreement(
        () => seat(half),
        undefined,
        () => seat({ ...weights, kernel: widened }),
      );
    }
    await expectBitEqual(x, kept);
  });

  it.each(LARGE)('linears agree on [%d,%d,%d] → %d', async (...size) => {
    const { x, kernel, bias, stream, gate } = operands(size);
    const { held: words, widened } = await held(kernel);
    const seat = (weights: LinearWeights) => linearResidual(x, weights, { x: stream, gate });
    await expectAgreement(() => seat({ kernel, bias, dtype: 'float32' }));
    await expectAgreement(
      () => seat({ kernel: words, bias, dtype: 'bfloat16' }),
      undefined,
      () => seat({ kernel: widened, bias, dtype: 'float32' }),
    );
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
    const { held: words, widened } = await held(kernel);
    const joined = (weights: LinearWeights) => () => tf.tidy(() => tf.concat(adaLNVectors(c, weights, parts), 1));
    await expectAgreement(joined(weights));
    const half: LinearWeights = { ...weights, kernel: words, dtype: 'bfloat16' };
    await expectAgreement(joined(half), undefined, joined({ ...weights, kernel: widened }));
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
    expect(() => linear(x, { ...weights, dtype: 'bfloat16' })).toThrow('kernel [in,out/2] int32');
    expect(() => normLinear(x, { shift: wrong, scale: wrong, eps: 1e-6 }, weights)).toThrow('shift [N,D]');
    expect(() => adaLNVectors(c, weights, 3)).toThrow('out a multiple of 3');
    expect(() => linearResidual(x, weights, { x })).toThrow('expected residual [N,T,out] and gate [N,out]');
  });
});
