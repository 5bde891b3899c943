import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { isLinear, type Predictor, type Snapshot, weightedTensors } from '../../src/cache/predictors/predictor.ts';
import { weightedSum } from '../../src/ops/weighted-sum.ts';

/** What the authors' code predicted; written by test/fixtures/make_predictors.py. */
export interface PredictionCase {
  /** As `parsePredictor` reads it. */
  readonly predictor: string;
  readonly trajectory: string;
  /** Steps known, newest first. */
  readonly past: readonly number[];
  readonly at: number;
  readonly expected: readonly number[];
}

export interface Predictions {
  readonly shape: readonly number[];
  /** Values by step. */
  readonly trajectories: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly cases: readonly PredictionCase[];
}

export function readPredictions(): Predictions {
  return JSON.parse(readFileSync(join(__dirname, '../fixtures/predictors.json'), 'utf8')) as Predictions;
}

/** What an engine does with a predictor of either kind. */
export async function predictWith(predictor: Predictor, past: readonly Snapshot[], at: number): Promise<tf.Tensor> {
  if (!isLinear(predictor)) return predictor.predict(past, at);
  const steps = past.map(({ step }) => step);
  return weightedSum(weightedTensors(past, predictor.weights(steps, at)));
}

/** The prediction of a linear predictor for a function of the step. */
export function predictedValue(
  predictor: Predictor,
  f: (step: number) => number,
  past: readonly number[],
  at: number,
): number {
  if (!isLinear(predictor)) throw new Error(`${predictor.name} is not linear`);
  return predictor.weights(past, at).reduce((sum, weight, i) => sum + weight * f(past[i]!), 0);
}

/** Snapshots [N,…] of a function of step, row and element, newest first. */
export function snapshotsOf(
  steps: readonly number[],
  shape: number[],
  f: (step: number, row: number, element: number) => number,
): Snapshot[] {
  const perRow = shape.slice(1).reduce((product, size) => product * size, 1);
  return steps.map((step) => {
    const values = Array.from({ length: shape[0]! * perRow }, (_, i) => f(step, Math.floor(i / perRow), i % perRow));
    return { step, tensor: tf.tensor(values, shape) };
  });
}

export function disposeSnapshots(snapshots: readonly Snapshot[]): void {
  for (const { tensor } of snapshots) tensor.dispose();
}
