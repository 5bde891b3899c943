import * as tf from '@tensorflow/tfjs-core';
import { gatherRows, placeRows, splitRows } from '../ops/rows.ts';

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
   * @param which the rows that are replaced; all where left out, or where nothing was kept
   */
  put(name: string, value: tf.Tensor, which?: readonly boolean[]): void {
    const before = this.tensors.get(name);
    const { yes, no } = splitRows(which ?? []);
    if (before && which && yes.length === 0) return;
    const next =
      !before || !which || no.length === 0
        ? value.clone()
        : tf.tidy(() =>
            placeRows(
              [
                { places: yes, value: gatherRows(value, yes) },
                { places: no, value: gatherRows(before, no) },
              ],
              which.length,
            ),
          );
    this.tensors.set(name, tf.keep(next));
    before?.dispose();
    const sizes = [...this.tensors.values()].map(({ size }) => size * Float32Array.BYTES_PER_ELEMENT);
    this.peak = Math.max(
      this.peak,
      sizes.reduce((sum, bytes) => sum + bytes, 0),
    );
  }

  /** The most bytes that were kept at once. */
  get peakBytes(): number {
    return this.peak;
  }

  dispose(): void {
    tf.dispose([...this.tensors.values()]);
    this.tensors.clear();
  }
}
