import * as tf from '@tensorflow/tfjs-core';
import { type Snapshot, weightedTensors } from '../../../src/cache/predictors/predictor.ts';
import { OptionError } from '../../../src/errors.ts';
import { weightedSum } from '../../../src/ops/weighted-sum.ts';
import { expectBitEqual, relativeL2 } from '../../support/compare.ts';
import { expectCleanFailure, expectNoLeak } from '../../support/memory.ts';
import { disposeSnapshots, snapshotsOf } from '../../support/predictions.ts';

const past = () => snapshotsOf([7, 4, 2], [2, 3, 2], (step, row, element) => step + row / 3 - element / 7);

const sumOf = (snapshots: readonly Snapshot[], weights: readonly number[]) =>
  weightedSum(weightedTensors(snapshots, weights));

describe('a weighted sum of snapshots', () => {
  it('sums what is weighed', async () => {
    const snapshots = past();
    const [a, b, c] = snapshots.map(({ tensor }) => tensor);
    const want = tf.add(tf.add(tf.mul(a!, 2), tf.mul(b!, -1.5)), c!);
    expect(await relativeL2(sumOf(snapshots, [2, -1.5, 1]), want)).toBeLessThan(1e-6);
  });

  it.each([0, 1, 2])('gives snapshot %i bit for bit at a single weight of 1, in a tensor of its own', async (index) => {
    const snapshots = past();
    const weights = snapshots.map((_, i) => (i === index ? 1 : 0));
    const sum = sumOf(snapshots, weights);
    await expectBitEqual(sum, snapshots[index]!.tensor);
    disposeSnapshots(snapshots);
    expect(sum.isDisposed).toBe(false);
  });

  it('does not read a snapshot whose weight is 0', async () => {
    const snapshots = past();
    snapshots[1]!.tensor.dispose();
    const sum = await sumOf(snapshots, [1, 0, 0]).data();
    expect(sum).toHaveLength(12);
  });

  it('is zeros where every weight is 0', async () => {
    const snapshots = past();
    await expectBitEqual(sumOf(snapshots, [0, 0, 0]), tf.zeros([2, 3, 2]));
  });

  it('borrows the snapshots and returns one fresh tensor', async () => {
    const snapshots = past();
    for (const weights of [
      [1, 0, 0],
      [2, -1, 0],
      [3, -3, 1],
      [0, 0, 0],
    ]) {
      await expectNoLeak(() => sumOf(snapshots, weights).dispose());
    }
    expect(snapshots.every(({ tensor }) => !tensor.isDisposed)).toBe(true);
  });

  it('refuses weights that do not match the snapshots', async () => {
    const snapshots = past();
    await expectCleanFailure(() => sumOf(snapshots, [1, 0]), OptionError, /got 2 for 3/);
    await expectCleanFailure(() => sumOf([], []), OptionError, /at least one; got 0 for 0/);
  });
});
