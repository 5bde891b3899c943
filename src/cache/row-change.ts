import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import { OptionError } from '../errors.ts';
import type { PlanSetting } from './plan.ts';

/** mean|now − before| of each row of [N, …]; of `now` alone, mean|now|. @returns [N], fresh */
export function meanChange(now: tf.Tensor, before?: tf.Tensor): tf.Tensor1D {
  return tf.tidy(() => {
    const axes = now.shape.slice(1).map((_, axis) => axis + 1);
    return tf.mean(tf.abs(before ? tf.sub(now, before) : now), axes);
  });
}

/**
 * How the guidance halves of a sample decide: each by itself, or both by what is measured of the two, as authors do who
 * measure over the whole batch. Guidance multiplies the difference of the halves, in which errors made together cancel.
 */
export type Halves = 'apart' | 'together';

/** Of a method that decides by rows. */
export interface HalvesOption {
  /** Default apart. */
  readonly halves?: Halves;
}

/** Halves of the batch, the samples of one after those of the other, that decide as one. @throws OptionError for another word */
export function halvesTogether(halves: Halves = 'apart', { run }: Pick<PlanSetting, 'run'>): number {
  if (halves !== 'apart' && halves !== 'together')
    throw new OptionError(`halves: expected apart or together, got ${JSON.stringify(halves)}`);
  return halves === 'together' && (run?.guidanceScale ?? 1) > 1 ? 2 : 1;
}

/** The mean of the rows that decide as one, in each of them. @param values [halves·S] @returns [halves·S] */
export function sharedByHalves(values: tf.Tensor1D, halves: number): tf.Tensor1D {
  if (halves === 1) return values;
  const [rows] = values.shape;
  return tf.tile(tf.mean(tf.reshape(values, [halves, rows / halves]), 0), [halves]) as tf.Tensor1D;
}

/**
 * mean|now − before| ÷ mean|before| of each row: the relative L1 change that threshold methods go by.
 * @param now [N, …]
 * @param before [N, …]
 * @param halves of the batch over which both means are taken
 * @returns [N], fresh
 */
export function relativeChange(now: tf.Tensor, before: tf.Tensor, halves = 1): tf.Tensor1D {
  return tf.tidy(() => {
    const [change, size] = [meanChange(now, before), meanChange(before)];
    return tf.div(sharedByHalves(change, halves), sharedByHalves(size, halves));
  });
}

/** Reads a tensor [N] and frees it. */
export async function readRows(values: tf.Tensor1D): Promise<number[]> {
  try {
    return Array.from(await readTensor(values));
  } finally {
    values.dispose();
  }
}
