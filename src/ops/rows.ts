import * as tf from '@tensorflow/tfjs-core';

/** Some rows of a tensor [N, …], fresh. */
export function gatherRows<T extends tf.Tensor>(tensor: T, rows: readonly number[]): T {
  return tf.tidy(() => tf.gather(tensor, tf.tensor1d([...rows], 'int32')) as T);
}

/** Values of some rows, and which of the whole they are. */
export interface RowPart<T extends tf.Tensor = tf.Tensor> {
  readonly places: readonly number[];
  /** [places.length, …] */
  readonly value: T;
}

/** Puts parts together that cover rows 0 … count − 1, each once. Parts are borrowed, the result [count, …] is fresh. */
export function placeRows<T extends tf.Tensor>(parts: readonly RowPart<T>[], count: number): T {
  const filled = parts.filter(({ places }) => places.length > 0);
  const order = filled.flatMap(({ places }) => places);
  if (order.length !== count) throw new RangeError(`expected ${count} rows, got ${order.length}`);
  const [only] = filled;
  if (filled.length === 1 && only && order.every((row, place) => row === place)) return only.value.clone();
  const from = new Array<number>(count);
  for (const [place, row] of order.entries()) from[row] = place;
  return tf.tidy(() => gatherRows(tf.concat(filled.map(({ value }) => value)) as T, from));
}

/** Splits 0 … N − 1 by a decision a row. */
export function splitRows(decisions: readonly boolean[]): { yes: number[]; no: number[] } {
  const rows = decisions.map((_, row) => row);
  return { yes: rows.filter((row) => decisions[row]), no: rows.filter((row) => !decisions[row]) };
}

/** The tensor [N, …] with some of its rows, ascending, replaced by those of `value` [rows.length, …]; fresh. */
export function replaceRows<T extends tf.Tensor>(tensor: T, value: T, rows: readonly number[]): T {
  const count = tensor.shape[0] ?? 0;
  const others = Array.from({ length: count }, (_, row) => row).filter((row) => !rows.includes(row));
  return tf.tidy(() => {
    const parts = [{ places: rows, value }];
    if (others.length > 0) parts.push({ places: others, value: gatherRows(tensor, others) });
    return placeRows(parts, count);
  });
}
