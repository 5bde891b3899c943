import * as tf from '@tensorflow/tfjs-core';
import { parsePredictor, predictorOf } from '../../../src/cache/predictors/named.ts';
import type { Snapshot } from '../../../src/cache/predictors/predictor.ts';
import { relativeL2Of } from '../../support/compare.ts';
import { disposeSnapshots, type PredictionCase, predictWith, readPredictions } from '../../support/predictions.ts';

const { shape, trajectories, cases } = readPredictions();
const methods = [...new Set(cases.map(({ predictor }) => predictor))];

/** Spectrum ran in single precision, the others in double; ours sums float32 tensors. */
const TOLERANCE = 2e-6;

async function error({ predictor, trajectory, past, at, expected }: PredictionCase): Promise<number> {
  const snapshots = past.map(
    (step): Snapshot => ({ step, tensor: tf.tensor([...trajectories[trajectory]![step]!], [...shape]) }),
  );
  const got = await predictWith(predictorOf(parsePredictor(predictor)), snapshots, at);
  const values = await got.data();
  disposeSnapshots([...snapshots, { step: at, tensor: got }]);
  return relativeL2Of(values, expected);
}

describe('predictions of the authors’ code', () => {
  it.each(methods)('%s', async (method) => {
    const own = cases.filter(({ predictor }) => predictor === method);
    const errors = await Promise.all(own.map(error));
    expect(Math.max(...errors)).toBeLessThan(TOLERANCE);
  });

  it('cover every method that has public code, warm-up and uneven gaps', () => {
    expect(methods).toEqual(expect.arrayContaining(['taylor:1', 'hermite:3', 'chebyshev:4', 'foca', 'dmd']));
    expect(cases.some(({ past }) => past.length === 1)).toBe(true);
    expect(cases.some(({ past }) => past.length > 2 && past[0]! - past[1]! !== past[1]! - past[2]!)).toBe(true);
  });
});
