import * as tf from '@tensorflow/tfjs-core';
import { dmd } from '../../../src/cache/predictors/dmd.ts';
import { predictorOf } from '../../../src/cache/predictors/named.ts';
import type { Snapshot } from '../../../src/cache/predictors/predictor.ts';
import { OptionError } from '../../../src/errors.ts';
import { expectBitEqual, relativeL2 } from '../../support/compare.ts';
import { expectCleanFailure, expectNoLeak } from '../../support/memory.ts';
import { predictWith, snapshotsOf } from '../../support/predictions.ts';

const EVEN = [18, 15, 12, 9, 6, 3];
const SHAPE = [2, 3, 4];
/** A constant, a decay and an oscillation: four real exponentials, each row and element its own mixture. */
const modes = (step: number, row: number, element: number) =>
  Math.cos(1 + element) + Math.sin(2 + row + 3 * element) * 0.9 ** step + Math.cos(0.3 * step + row + element ** 2);

const predicted = (past: readonly Snapshot[], at: number) => Promise.resolve(dmd().predict(past, at));
const rowOf = (tensor: tf.Tensor, row: number) => tf.slice(tensor, [row], [1]);

describe('dmd', () => {
  it.each([19, 20, 21, 25])('continues sums of exponentials exactly: step %i', async (at) => {
    const [want] = snapshotsOf([at], SHAPE, modes);
    expect(await relativeL2(await predicted(snapshotsOf(EVEN, SHAPE, modes), at), want!.tensor)).toBeLessThan(1e-5);
  });

  it('takes as many exponentials as there are pairs', async () => {
    const turning = (step: number, row: number, element: number) =>
      Math.sin(row + 2 * element) + modes(step, row, element) - Math.sin(2 + row + 3 * element) * 0.9 ** step;
    const [want] = snapshotsOf([20], SHAPE, turning);
    expect(
      await relativeL2(await predicted(snapshotsOf(EVEN.slice(0, 4), SHAPE, turning), 20), want!.tensor),
    ).toBeLessThan(1e-5);
  });

  it('continues straight lines, whose eigenvalues coincide', async () => {
    const line = (step: number, row: number, element: number) => 1 + element + (row - 0.4) * step;
    const [want] = snapshotsOf([20], SHAPE, line);
    expect(await relativeL2(await predicted(snapshotsOf(EVEN, SHAPE, line), 20), want!.tensor)).toBeLessThan(1e-4);
  });

  it('holds what stands still, zeros included', async () => {
    for (const value of [0, 3]) {
      const past = snapshotsOf(EVEN, SHAPE, (_, row) => value * (row + 1));
      const got = await predicted(past, 20);
      expect(await (await tf.max(tf.abs(tf.sub(got, past[0]!.tensor))).data())[0]).toBeLessThan(1e-6);
    }
  });

  it('a row of a batch is what it is alone, bit for bit', async () => {
    const rough = (step: number, row: number, element: number) =>
      row === 0 ? Math.sin(step * element * 1.7) : modes(step, row, element);
    const past = snapshotsOf(EVEN, SHAPE, rough);
    const together = await predicted(past, 20);
    for (const row of [0, 1]) {
      const alone = past.map(({ step, tensor }) => ({ step, tensor: rowOf(tensor, row) }));
      await expectBitEqual(await predicted(alone, 20), rowOf(together, row));
    }
  });

  it('holds a row that cannot be fitted, and that row alone', async () => {
    const sudden = (step: number, row: number, element: number) => {
      if (row === 0) return step === 18 ? 1 + element : 0;
      return modes(step, row, element);
    };
    const past = snapshotsOf(EVEN, SHAPE, sudden);
    const [want] = snapshotsOf([20], SHAPE, modes);
    const got = await predicted(past, 20);
    await expectBitEqual(rowOf(got, 0), rowOf(past[0]!.tensor, 0));
    expect(await relativeL2(rowOf(got, 1), rowOf(want!.tensor, 1))).toBeLessThan(1e-5);
  });

  it.each([
    ['one snapshot', [5], 0],
    ['two', [5, 3], 1],
    ['three, even', [6, 4, 2], 1],
    ['uneven ones', [9, 8, 5, 2, 1, 0], 1],
    ['three even ones behind which the gap changes', [9, 6, 3, 2, 1, 0], 1],
  ])('falls back to the line with %s', async (_, steps, order) => {
    const past = snapshotsOf(steps, SHAPE, modes);
    const line = predictorOf({ name: 'taylor', order });
    const want = await predictWith(line, past.slice(0, order + 1), steps[0]! + 2);
    expect(await relativeL2(await predicted(past, steps[0]! + 2), want)).toBeLessThan(1e-6);
  });

  it('fits the even ones where older gaps differ', async () => {
    const decay = (step: number, row: number, element: number) =>
      Math.cos(element) + Math.sin(1 + element + row) * 0.9 ** step;
    const [want] = snapshotsOf([21], SHAPE, decay);
    const past = snapshotsOf([19, 16, 13, 10, 8, 7], SHAPE, decay);
    expect(await relativeL2(await predicted(past, 21), want!.tensor)).toBeLessThan(1e-6);
  });

  it('keeps a fit for its window only', async () => {
    const method = dmd();
    const past = snapshotsOf(EVEN, SHAPE, modes);
    const first = await method.predict(past, 19);
    await expectBitEqual(await method.predict(past, 19), first);
    await expectBitEqual(await method.predict(past, 20), await predicted(past, 20));
    await expectBitEqual(await method.predict(past.slice(0, 4), 20), await predicted(past.slice(0, 4), 20));
    const other = snapshotsOf(EVEN, SHAPE, (step) => step % 5);
    await expectBitEqual(await method.predict(other, 20), await predicted(other, 20));
  });

  it('borrows the snapshots and returns one fresh tensor', async () => {
    for (const steps of [EVEN, [5, 3], [5]]) {
      const past = snapshotsOf(steps, SHAPE, modes);
      await expectNoLeak(async () => (await predicted(past, 20)).dispose());
      expect(past.every(({ tensor }) => !tensor.isDisposed)).toBe(true);
    }
  });

  it('refuses steps that are no past', async () => {
    const past = snapshotsOf([5, 6], SHAPE, modes);
    await expectCleanFailure(() => predicted(past, 9), OptionError, /newest first, all before step 9; got \[5, 6\]/);
  });
});
