import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../src/errors.ts';
import { geluTanh } from '../../src/ops/activations.ts';
import { joinResidual, layerNormModulate } from '../../src/ops/layer-norm.ts';
import {
  adaLNVectors,
  type LinearWeights,
  linear,
  linearGelu,
  linearResidual,
  normLinear,
  normLinearGelu,
} from '../../src/ops/linear.ts';
import { expectBitEqual } from '../support/compare.ts';
import { fusedAddon } from '../support/fused.ts';
import { byEachInstructionSet, expectAgreement } from '../support/fused-agreement.ts';
import { roundedKernel } from '../support/half-weights.ts';
import { expectNoLeak } from '../support/memory.ts';
import { randomTensor } from '../support/random-weights.ts';

/**
 * N, T, in, out, all of them odd somewhere: one of each; few rows, which have a path of their own; a cut of the depth and
 * one more; panels, rows of registers and tiles, less or more than whole ones.
 */
const SIZES = [
  [1, 1, 1, 2],
  [2, 1, 5, 8],
  [1, 3, 289, 130],
  [2, 2, 300, 1154],
  [1, 5, 16, 14],
  [1, 7, 37, 18],
  [2, 33, 64, 66],
  [3, 65, 577, 50],
  [2, 130, 300, 302],
  [1, 200, 24, 260],
] as const;

if (globalThis.DELTA_DIT_BACKEND === 'wasm') {
  it.each(['bfloat16', 'float16'] as const)('refuses %s weights where no kernel reads them', (dtype) => {
    const weights: LinearWeights = { kernel: tf.ones([4, 3]), dtype };
    expect(() => linear(tf.ones([2, 4]), weights)).toThrow(BackendError);
    expect(() => linear(tf.ones([2, 4]), weights)).toThrow(`${dtype} weights need a fused op`);
  });
}

/** All different, at the cost of drawing a few. */
function manyTokens([n, t, features]: readonly [number, number, number]): tf.Tensor3D {
  return tf.tidy(() => tf.sin(tf.mul(randomTensor<tf.Tensor3D>([n, 1, features], 1), randomTensor([n, t, 1], 2))));
}

function operands([n, t, features, out]: readonly [number, number, number, number]) {
  const x = tf.tidy(() => tf.add(randomTensor<tf.Tensor3D>([n, t, features], 1), 0.5)) as tf.Tensor3D;
  const kernel = randomTensor<tf.Tensor2D>([features, out], 2, features ** -0.5);
  const bias = randomTensor<tf.Tensor1D>([out], 3);
  const norm = {
    shift: randomTensor<tf.Tensor2D>([n, features], 4),
    scale: randomTensor<tf.Tensor2D>([n, features], 5),
  };
  const [stream, gate] = [randomTensor<tf.Tensor3D>([n, t, out], 6), randomTensor<tf.Tensor2D>([n, out], 7)];
  return { x, kernel, bias, norm: { ...norm, eps: 1e-6 }, stream, gate };
}

byEachInstructionSet((isThere) => {
  it.each(SIZES)('all linears agree on [%d,%d,%d] → %d', async (...size) => {
    if (!isThere()) return;
    const { x, kernel, bias, norm, stream, gate } = operands(size);
    const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
    const { held, widened } = await roundedKernel(kernel, 'bfloat16');
    const kept = x.clone();
    const tolerance = fusedAddon().instructions() === 'amx' ? 1e-2 : undefined; // its rows are rounded, too
    const seats: ((weights: LinearWeights) => tf.Tensor)[] = [
      (weights) => linear(x, weights),
      (weights) => linearGelu(x, weights),
      (weights) => normLinear(x, norm, weights),
      (weights) => normLinearGelu(x, norm, weights),
      (weights) => linearResidual(x, weights, { x: stream }),
      (weights) => linearResidual(x, weights, { x: stream, gate }),
    ];
    for (const seat of seats) {
      await expectAgreement(() => seat(weights));
      await expectAgreement(() => seat({ kernel, dtype: 'float32' }));
      const [half, whole] = [{ ...weights, kernel: held, dtype: 'bfloat16' } as const, { ...weights, kernel: widened }];
      await expectAgreement(
        () => seat(half),
        tolerance,
        () => seat(whole),
      );
    }
    await expectBitEqual(x, kept);
  });

  it('agree on 4,096 tokens, more than are packed at a time', async () => {
    if (!isThere()) return;
    const { kernel, bias, norm, gate } = operands([2, 1, 530, 20]);
    const [x, stream] = [manyTokens([2, 4096, 530]), manyTokens([2, 4096, 20])];
    const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
    await expectAgreement(() => normLinear(x, norm, weights));
    await expectAgreement(() => linearResidual(x, weights, { x: stream, gate }));
  });

  it.each([1, 2, 4, 5])('rank %d agrees', async (rank) => {
    if (!isThere()) return;
    const shape = [...Array(rank - 1).fill(3), 8];
    const weights: LinearWeights = { kernel: randomTensor([8, 6], 2), bias: randomTensor([6], 3), dtype: 'float32' };
    const x = randomTensor(shape, 1);
    await expectAgreement(() => linear(x, weights));
  });

  it.each([
    [1, 1, 6, 6],
    [2, 37, 12, 6],
    [2, 300, 1156, 2],
    [6, 65, 36, 6],
  ] as const)('adaLNVectors agree on [%d,%d] → %d in %d parts', async (n, features, out, parts) => {
    if (!isThere()) return;
    const kernel = randomTensor<tf.Tensor2D>([features, out], 2, features ** -0.5);
    const c = randomTensor<tf.Tensor2D>([n, features], 1);
    const weights: LinearWeights = { kernel, bias: randomTensor([out], 3), dtype: 'float32' };
    const { held, widened } = await roundedKernel(kernel, 'bfloat16');
    const joined = (weights: LinearWeights) => () => tf.tidy(() => tf.concat(adaLNVectors(c, weights, parts), 1));
    await expectAgreement(joined(weights));
    const half = { ...weights, kernel: held, dtype: 'bfloat16' } as const;
    await expectAgreement(joined(half), undefined, joined({ ...weights, kernel: widened }));
    expect(adaLNVectors(c, weights, parts).map(({ shape }) => shape)).toEqual(Array(parts).fill([n, out / parts]));
  });

  it('no rows give no rows', () => {
    if (!isThere()) return;
    expect(linear(tf.zeros([2, 0, 8]), { kernel: tf.ones([8, 6]), dtype: 'float32' }).shape).toEqual([2, 0, 6]);
  });

  it.each(SIZES)('what is fused and what is computed apart agree bit for bit on [%d,%d,%d] → %d', async (...size) => {
    if (!isThere()) return;
    const { x, kernel, bias, norm, stream, gate } = operands(size);
    const weights: LinearWeights = { kernel, bias, dtype: 'float32' };
    const modulated = layerNormModulate(x, norm.shift, norm.scale, norm.eps);
    await expectBitEqual(normLinear(x, norm, weights), linear(modulated, weights));
    await expectBitEqual(normLinearGelu(x, norm, weights), geluTanh(linear(modulated, weights)));
    await expectBitEqual(linearGelu(x, weights), geluTanh(linear(x, weights)));
    for (const residual of [{ x: stream }, { x: stream, gate }]) {
      await expectBitEqual(linearResidual(x, weights, residual), joinResidual(linear(x, weights), residual));
    }
  });

  it('refuse float16 weights, which are of another backend', () => {
    if (!isThere()) return;
    const [x, kernel] = [tf.ones([2, 12]) as tf.Tensor2D, tf.ones([12, 3]) as tf.Tensor2D];
    const weights: LinearWeights = { kernel, dtype: 'float16' };
    expect(() => linear(x, weights)).toThrow(BackendError);
    expect(() => adaLNVectors(x, weights, 3)).toThrow('weights are float16, and these ops read float32 or bfloat16');
  });

  it('refuse shapes that do not fit, and leave nothing', async () => {
    if (!isThere()) return;
    const x = tf.ones([2, 4, 12]) as tf.Tensor3D;
    const wrong = tf.ones([2, 11]) as tf.Tensor2D;
    const weights: LinearWeights = { kernel: tf.ones([12, 3]), dtype: 'float32' };
    const bias = tf.ones([4]) as tf.Tensor1D;
    const norm = { shift: wrong, scale: wrong, eps: 1e-6 };
    await expectNoLeak(() => {
      expect(() => linear(wrong, weights)).toThrow('expected x [...,in] and a kernel [in,out]');
      expect(() => linear(x, { ...weights, bias })).toThrow('expected a bias of as many columns');
      expect(() => normLinear(x, norm, weights)).toThrow('expected x [N,T,D], shift [N,D] and scale [N,D]');
      expect(() => adaLNVectors(wrong, { ...weights, bias }, 3)).toThrow('expected c [N,in], a kernel [in,out]');
      expect(() => linearResidual(x, weights, { x })).toThrow('expected y [N,T,in], x [N,T,D] and gate [N,D]');
    });
  });
});
