import * as tf from '@tensorflow/tfjs-core';
import { gatherRows, replaceRows } from '../ops/rows.ts';

/** Tensors [N, …] that a method keeps from step to step under names of its own, such as the signal of the step before. */
export class RowTensors {
  private readonly tensors = new Map<string, tf.Tensor>();
  private peak = 0;

  /** Borrowed, until it is put again. */
  get<T extends tf.Tensor>(name: string): T | undefined {
    return this.tensors.get(name) as T | undefined;
  }

  /**
   * @param value [N, …] of all rows, borrowed
   * @param rows those that are taken of it, ascending; all where left out. The first time all must be given.
   */
  put(name: string, value: tf.Tensor, rows?: readonly number[]): void {
    const before = this.tensors.get(name);
    if (rows?.length === 0) return;
    const isAll = !before || !rows || rows.length === value.shape[0];
    this.set(name, isAll ? value.clone() : tf.tidy(() => replaceRows(before, gatherRows(value, rows), rows)));
  }

  /** As `put`. @param value [rows.length, …] of these rows alone, borrowed */
  replace(name: string, value: tf.Tensor, rows: readonly number[]): void {
    const before = this.tensors.get(name);
    this.set(name, before ? replaceRows(before, value, rows) : value.clone());
  }

  /** The most bytes that were kept at once. */
  get peakBytes(): number {
    return this.peak;
  }

  dispose(): void {
    tf.dispose([...this.tensors.values()]);
    this.tensors.clear();
  }

  private set(name: string, next: tf.Tensor): void {
    this.tensors.get(name)?.dispose();
    this.tensors.set(name, tf.keep(next));
    const bytes = [...this.tensors.values()].reduce((sum, { size }) => sum + size * Float32Array.BYTES_PER_ELEMENT, 0);
    this.peak = Math.max(this.peak, bytes);
  }
}
