import * as tf from '@tensorflow/tfjs-core';
import { affine } from '../../../src/cache/predictors/affine.ts';
import { OptionError, ShapeError } from '../../../src/errors.ts';
import { relativeL2 } from '../../support/compare.ts';
import { expectCleanFailure, expectNoLeak } from '../../support/memory.ts';
import { snapshotsOf } from '../../support/predictions.ts';

const corrections = [
  { step: 3, scale: [1, 1], shift: [0, 0] },
  { step: 4, scale: [2, -1], shift: [0.5, 3] },
];
const past = () => snapshotsOf([2], [2, 3, 2], (_, row, element) => row + element / 4);

describe('affine', () => {
  it('scales and shifts each channel, as calibrated for the step', async () => {
    const snapshots = past();
    const got = await affine(corrections).predict(snapshots, 4);
    const want = tf.add(tf.mul(snapshots[0]!.tensor, tf.tensor1d([2, -1])), tf.tensor1d([0.5, 3]));
    expect(await relativeL2(got, want)).toBeLessThan(1e-7);
    expect(await relativeL2(await affine(corrections).predict(snapshots, 3), snapshots[0]!.tensor)).toBe(0);
  });

  it('corrects latents [N,H,W,C] as well', async () => {
    const [snapshot] = snapshotsOf([2], [1, 2, 2, 2], (_, __, element) => element);
    const got = await affine(corrections).predict([snapshot!], 4);
    expect(Array.from(await got.data())).toEqual([0.5, 2, 4.5, 0, 8.5, -2, 12.5, -4]);
  });

  it('leaves nothing behind', async () => {
    const snapshots = past();
    await expectNoLeak(async () => (await affine(corrections).predict(snapshots, 4)).dispose());
  });

  it('refuses a step or a shape that was not calibrated', async () => {
    const snapshots = past();
    const wider = snapshotsOf([2], [2, 3, 4], () => 1);
    await expectCleanFailure(
      () => affine(corrections).predict(snapshots, 5),
      OptionError,
      /no correction for step 5, only for 3, 4/,
    );
    await expectCleanFailure(
      () => affine(corrections).predict(wider, 4),
      ShapeError,
      /expected 2 channels, .* got \[2, 3, 4\]/,
    );
  });
});
