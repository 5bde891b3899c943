import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import { gatherRows, placeRows, type RowPart, replaceRows } from '../ops/rows.ts';
import { type WeightedTensors, weightedSum } from '../ops/weighted-sum.ts';
import { isLinear, type Predictor, type Snapshot, weightedTensors } from './predictors/predictor.ts';

/** What a site would give, as a sum to be taken: whoever takes it may have more to add. */
export interface Prediction<T extends tf.Tensor = tf.Tensor> extends WeightedTensors<T> {
  /** Frees what was made for it; the rest is borrowed from the history, until it is put to or trimmed. */
  dispose(): void;
}

/** A value of all rows, and the step at which each row computed it; −1 where a row has none so old. */
interface Slot {
  readonly tensor: tf.Tensor;
  readonly steps: readonly number[];
}

/**
 * What one site gave at its last computed steps, newest first: tensors [N, …] whose rows may have been computed at
 * different steps, since dynamic methods decide row by row.
 */
export class SiteHistory {
  private slots: Slot[] = [];

  constructor(
    private readonly site: string,
    private readonly predictor: Predictor,
  ) {}

  get bytes(): number {
    return this.slots.reduce((sum, { tensor }) => sum + tensor.size * Float32Array.BYTES_PER_ELEMENT, 0);
  }

  /**
   * Stores what some rows gave at a step. The first time all rows must be given.
   * @param value [rows.length, …], consumed
   * @param rows those of the batch, ascending; all where left out
   */
  put(step: number, value: tf.Tensor, rows?: readonly number[]): void {
    const count = this.slots[0]?.steps.length ?? value.shape[0] ?? 0;
    if (!rows || rows.length === count) {
      this.slots.unshift({ tensor: tf.keep(value), steps: Array<number>(count).fill(step) });
      this.trim(this.predictor.history);
      return;
    }
    const before = this.slots;
    const length = Math.min(before.length + 1, this.predictor.history);
    const tensors = tf.tidy(() =>
      Array.from({ length }, (_, k) => {
        const shifted = before[k - 1];
        const newer = shifted ? gatherRows(shifted.tensor, rows) : value;
        const older = before[k]?.tensor ?? tf.zeros([count, ...value.shape.slice(1)]);
        return replaceRows(older, newer, rows);
      }),
    );
    this.slots = tensors.map((tensor, k) => {
      const older = before[k]?.steps ?? Array<number>(count).fill(-1);
      const steps = older.map((at, row) => (rows.includes(row) ? (before[k - 1]?.steps[row] ?? step) : at));
      return { tensor: tf.keep(tensor), steps };
    });
    tf.dispose([value, ...before.map(({ tensor }) => tensor)]);
  }

  /**
   * What the site would give at a step.
   * @param rows those of the batch that are asked for, ascending; all where left out
   * @returns [rows.length, …], fresh
   * @throws OptionError where a row has nothing stored
   */
  async predict(step: number, rows?: readonly number[]): Promise<tf.Tensor> {
    const prediction = await this.prediction(step, rows);
    try {
      return weightedSum(prediction);
    } finally {
      prediction.dispose();
    }
  }

  /** As `predict`. Where all rows are asked for and were computed at the same steps, a linear predictor makes nothing. */
  async prediction(step: number, rows?: readonly number[]): Promise<Prediction> {
    const count = this.slots[0]?.steps.length ?? 0;
    const asked = rows ?? Array.from({ length: count }, (_, row) => row);
    if (asked.length === 0 || count === 0) throw nothingStored(step, this.site);
    if (isLinear(this.predictor) && asked.length === count && this.slots.every(isOfOneStep)) {
      const past = this.pastOf(0, step);
      const snapshots = past.map((at, k) => ({ step: at, tensor: (this.slots[k] as Slot).tensor }));
      return { ...weightedTensors(snapshots, this.predictor.weights(past, step)), dispose: () => {} };
    }
    const value = await this.predictApart(step, asked, count);
    return { tensors: [value], weights: [1], dispose: () => value.dispose() };
  }

  /** Frees all but the `length` newest. */
  trim(length: number): void {
    for (const { tensor } of this.slots.splice(Math.max(0, length))) tensor.dispose();
  }

  dispose(): void {
    this.trim(0);
  }

  private pastOf(row: number, step: number): number[] {
    const past = this.slots.map(({ steps }) => steps[row] ?? -1).filter((at) => at >= 0);
    if (past.length === 0) throw nothingStored(step, this.site);
    return past;
  }

  /** Groups of rows that were computed at the same steps, each on its own. */
  private async predictApart(step: number, asked: readonly number[], count: number): Promise<tf.Tensor> {
    const groups = new Map<string, number[]>();
    for (const [place, row] of asked.entries()) {
      const key = this.pastOf(row, step).join(' ');
      groups.set(key, [...(groups.get(key) ?? []), place]);
    }
    const parts: RowPart[] = [];
    try {
      for (const places of groups.values()) {
        const of = places.map((place) => asked[place] as number);
        parts.push({ places, value: await this.predictTogether(step, of, count) });
      }
      return placeRows(parts, asked.length);
    } finally {
      tf.dispose(parts.map(({ value }) => value));
    }
  }

  /** Of rows that were computed at the same steps. */
  private async predictTogether(step: number, rows: readonly number[], count: number): Promise<tf.Tensor> {
    const past = this.pastOf(rows[0] ?? 0, step);
    const isAll = rows.length === count;
    const snapshots = past.map((at, k): Snapshot => {
      const { tensor } = this.slots[k] as Slot;
      return { step: at, tensor: isAll ? tensor : gatherRows(tensor, rows) };
    });
    try {
      if (!isLinear(this.predictor)) return await this.predictor.predict(snapshots, step);
      return weightedSum(weightedTensors(snapshots, this.predictor.weights(past, step)));
    } finally {
      if (!isAll) tf.dispose(snapshots.map(({ tensor }) => tensor));
    }
  }
}

function isOfOneStep({ steps }: Slot): boolean {
  return steps.every((step) => step === steps[0]);
}

function nothingStored(step: number, site: string): OptionError {
  return new OptionError(`plan: step ${step} reuses ${site}, which no step before it recorded`);
}
