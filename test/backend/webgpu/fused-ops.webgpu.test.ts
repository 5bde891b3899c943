import * as tf from '@tensorflow/tfjs-core';
import { loadFusedShaders } from '../../../src/backend/webgpu/fused-kernels.ts';
import { geluTanh } from '../../../src/ops/activations.ts';
import { groupMoments, groupNorm, groupNormSilu, normaliseGroups } from '../../../src/ops/group-norm.ts';
import { gateResidual, layerNormModulate } from '../../../src/ops/layer-norm.ts';
import { weightedSum } from '../../../src/ops/weighted-sum.ts';
import { expectBitEqual } from '../../support/compare.ts';
import { fusedKernels } from '../../support/fused.ts';
import { expectAgreement } from '../../support/fused-agreement.ts';
import { expectNoLeak } from '../../support/memory.ts';
import { randomTensor } from '../../support/random-weights.ts';

beforeAll(() => {
  loadFusedShaders(tf.backend());
});

/** Widths of vectors and not, below and above a workgroup's. */
const SIZES = [
  [1, 1, 1],
  [2, 1, 5],
  [2, 7, 37],
  [3, 33, 64],
  [2, 13, 300],
] as const;

it('are registered once, and on this backend only', () => {
  const kernels = fusedKernels();
  expect(loadFusedShaders(tf.backend())).toEqual({ instructions: 'WGSL' });
  expect(kernels.length).toBeGreaterThan(0);
  expect(fusedKernels()).toEqual(kernels);
  expect(loadFusedShaders({} as tf.KernelBackend)).toBeUndefined();
});

describe('the composition and the shader', () => {
  it.each(SIZES)('layerNormModulate agree on [%d,%d,%d]', async (n, t, d) => {
    const x = tf.tidy(() => tf.add(randomTensor<tf.Tensor3D>([n, t, d], 1), 0.5)) as tf.Tensor3D;
    const [shift, scale] = [randomTensor<tf.Tensor2D>([n, d], 2), randomTensor<tf.Tensor2D>([n, d], 3)];
    for (const eps of [1e-6, 1e-5]) await expectAgreement(() => layerNormModulate(x, shift, scale, eps));
  });

  it('layerNormModulate normalise every row of more than 65,535', async () => {
    const rows = 65_537;
    const signs = Array.from({ length: rows }, (_, row) => (row % 3 === 0 ? [1, -1] : [-1, 1])).flat();
    const [x, none] = [tf.tensor3d(signs, [1, rows, 2]), tf.zeros([1, 2]) as tf.Tensor2D];
    expect(Array.from(await layerNormModulate(x, none, none, 0).data())).toEqual(signs);
  });

  it.each(SIZES)('gateResidual agree on [%d,%d,%d]', async (n, t, d) => {
    const [x, raw] = [randomTensor<tf.Tensor3D>([n, t, d], 1), randomTensor<tf.Tensor3D>([n, t, d], 2)];
    const gate = randomTensor<tf.Tensor2D>([n, d], 3);
    await expectAgreement(() => gateResidual(x, raw, gate));
  });

  it.each(SIZES)('weightedSum agree on [%d,%d,%d]', async (n, t, d) => {
    const parts = [1, 2, 3, 4, 5, 6].map((seed) => randomTensor<tf.Tensor3D>([n, t, d], seed));
    const [a, b, c] = parts as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
    await expectAgreement(() => weightedSum({ tensors: [a], weights: [-0.5] }));
    await expectAgreement(() => weightedSum({ tensors: [a, b, c], weights: [2, 0, -1] }));
    const weights = [6, -15, 20, -15, 6, -1];
    await expectAgreement(() => weightedSum({ tensors: [a, ...parts.slice(1)], weights }));
    // more than a shader is sure to take
    const many = {
      tensors: [a, ...parts, ...parts, ...parts] as const,
      weights: [2, ...weights, ...weights, ...weights],
    };
    await expectAgreement(() => weightedSum(many));
  });

  it('geluTanh agree, far out, on a scalar, and on more than 65,535 workgroups', async () => {
    const x = tf.tensor1d([-1e30, -200, -88, -30, -6, -1, -1e-3, 0, 1e-3, 1, 6, 30, 88, 200, 1e30]);
    await expectAgreement(() => geluTanh(x));
    const [scalar, many] = [tf.scalar(1.5), tf.tidy(() => tf.sin(tf.range(0, 64 * 65_536 + 1)))];
    await expectAgreement(() => geluTanh(scalar));
    await expectAgreement(() => geluTanh(many));
    expect(Array.from(await geluTanh(tf.tensor1d([Number.NaN, 0])).data())).toEqual([Number.NaN, 0]);
  });

  it.each([
    [1, 1, 1, 1, 1],
    [2, 3, 2, 6, 2],
    [1, 5, 7, 12, 3],
    [1, 16, 12, 32, 32], // one channel a group
    [2, 24, 24, 96, 4], // several parts a group, the last of them short
  ] as const)('groupNorm agree on [%d,%d,%d,%d] in %d groups', async (n, height, width, channels, groups) => {
    const x = tf.tidy(() => tf.add(randomTensor([n, height, width, channels], 1), 3)) as tf.Tensor4D;
    const [weight, bias] = [randomTensor<tf.Tensor1D>([channels], 2), randomTensor<tf.Tensor1D>([channels], 3)];
    await expectAgreement(() => groupNorm(x, groups, weight, bias, 1e-6));
    await expectAgreement(() => groupNormSilu(x, groups, weight, bias, 1e-6));
    if (height > 1) await expectAgreement(() => joined(x, groups));
    const [mean, variance] = [tf.ones([n, 1, groups, 1]), tf.fill([n, 1, groups, 1], 4)] as [tf.Tensor4D, tf.Tensor4D];
    await expectAgreement(() => normaliseGroups(x, { mean, variance }, { weight, bias, eps: 1e-6 }));
  });
});

it('give the same numbers bit for bit, however often they run', async () => {
  const x = randomTensor<tf.Tensor4D>([1, 40, 40, 32], 2);
  const first = joined(x, 8);
  for (let i = 0; i < 5; i++) await expectBitEqual(joined(x, 8), first);
});

it('make nothing of nothing', async () => {
  const none = tf.zeros([2, 0, 8]) as tf.Tensor3D;
  const vector = tf.ones([2, 8]) as tf.Tensor2D;
  await expectNoLeak(async () => {
    const got = layerNormModulate(none, vector, vector, 1e-6);
    expect(got.shape).toEqual([2, 0, 8]);
    expect(Array.from(await got.data())).toEqual([]);
    got.dispose();
  });
});

it('refuse shapes that do not fit, and leave nothing', async () => {
  const x = tf.ones([2, 4, 12]) as tf.Tensor3D;
  const wrong = tf.ones([2, 11]) as tf.Tensor2D;
  const picture = tf.ones([1, 2, 2, 6]) as tf.Tensor4D;
  await expectNoLeak(() => {
    expect(() => layerNormModulate(x, wrong, wrong, 1e-6)).toThrow('expected x [N,T,D], shift [N,D] and scale [N,D]');
    expect(() => gateResidual(x, x, wrong)).toThrow('expected x [N,T,D], raw [N,T,D] and gate [N,D]; got x [2,4,12]');
    expect(() => groupMoments(picture, 4)).toThrow('expected x [N,H,W,C] with C a multiple of the number of groups');
    const moments = { mean: picture, variance: picture };
    const parameters = { weight: tf.tensor1d([1]), bias: tf.tensor1d([1]), eps: 1e-6 };
    expect(() => normaliseGroups(picture, moments, parameters)).toThrow('mean and variance [N,1,G,1]');
    tf.dispose([parameters.weight, parameters.bias]);
  });
});

/** Means and variances. */
function joined(x: tf.Tensor4D, groups: number): tf.Tensor {
  return tf.tidy(() => {
    const { mean, variance } = groupMoments(x, groups);
    return tf.concat([mean, variance]);
  });
}
