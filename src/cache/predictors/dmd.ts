import * as tf from '@tensorflow/tfjs-core';
import { checkPast } from './checks.ts';
import { entry, type Matrix, matrix, multiply, solve, symmetricEigen, transpose } from './linear-algebra.ts';
import { powerTimes } from './matrix-power.ts';
import type { Snapshot, TensorPredictor } from './predictor.ts';
import { taylor } from './taylor.ts';

/** The defaults of cache-dit's `DMDCalibrator`. */
const HISTORY = 6;
const RIDGE = 1e-8;
/** Modes below this part of the leading singular value are dropped, as in `_dmd_fit_one`. */
const RANK_THRESHOLD = 1e-4;
/** A real trajectory spends two degrees of freedom on a complex pole: one needs three pairs. */
const LEAST_SNAPSHOTS = 4;

/** One row's model of how its snapshots follow each other, ready for any horizon. */
interface RowFit {
  /** VΣ⁻¹ [n−1, r]: weights of the snapshots 2…n, oldest first, for each mode. */
  readonly modes: Matrix;
  /** UᵀAU [r, r]: one spacing onward. */
  readonly onward: Matrix;
  /** Where the newest snapshot is, in modes. */
  readonly now: readonly number[];
}

/**
 * Dynamic mode decomposition, the exponential basis of cache-dit 1.5 (`DMDCalibrator`): with the last n ≤ 6 snapshots
 * in columns, X the first n − 1 of them and X′ the last, the linear map X′ ≈ A·X is fitted through the SVD X = UΣVᵀ, cut
 * where σ < 10⁻⁴·σ₁, and ŷ = Re(A^(x/h)·y₁): x the steps since the last computed one, h the spacing. Exact on sums of
 * at most n − 1 exponentials, oscillating ones counted twice.
 *
 * Where fewer than 4 of the newest snapshots are evenly spaced: linear extrapolation, its fallback. (cache-dit 1.5.3
 * there divides the change over the last two gaps by one of them; we do not.) A row whose fit degenerates is held; in
 * cache-dit such a row makes the whole batch be held. The sum of modes is formed as a combination of the snapshots, so
 * that only their inner products are needed and no [T·D, r] matrix.
 */
export function dmd(): TensorPredictor {
  const fits = new WeakMap<object, { readonly window: string; readonly rows: readonly (RowFit | undefined)[] }>();

  const fitted = async (tail: readonly Snapshot[], newest: Snapshot) => {
    const window = tail.map(({ step }) => step).join();
    const known = fits.get(newest.tensor.dataId);
    if (known?.window === window) return known.rows;
    const rows = (await innerProducts(tail)).map(fitRow);
    fits.set(newest.tensor.dataId, { window, rows });
    return rows;
  };
  return {
    name: 'dmd',
    history: HISTORY,
    async predict(past, at) {
      const steps = past.map(({ step }) => step);
      checkPast('dmd', steps, at, HISTORY);
      const [newest] = past;
      const tail = evenlySpaced(past);
      if (newest === undefined || tail.length < LEAST_SNAPSHOTS) return linear(past, at);
      const horizon = (at - newest.step) / (newest.step - (steps[1] ?? 0));
      const rows = await fitted(tail, newest);
      const weights = rows.map((fit) => rowWeights(fit, horizon, tail.length));
      return combineRows(tail, weights);
    },
  };
}

function linear(past: readonly Snapshot[], at: number): tf.Tensor {
  const near = past.slice(0, 2);
  return combineRows(near, [
    taylor(1).weights(
      near.map(({ step }) => step),
      at,
    ),
  ]);
}

/** The newest snapshots as long as their spacing stays that of the newest two. */
function evenlySpaced(past: readonly Snapshot[]): readonly Snapshot[] {
  const gaps = past.slice(1).map(({ step }, index) => (past[index]?.step ?? 0) - step);
  const change = gaps.findIndex((gap) => gap !== gaps[0]);
  return change < 0 ? past : past.slice(0, change + 1);
}

/** Of each row, the inner products [n, n] of its snapshots, in double precision. */
async function innerProducts(snapshots: readonly Snapshot[]): Promise<number[][][]> {
  const values = await Promise.all(snapshots.map(({ tensor }) => tensor.data<'float32'>()));
  const rows = snapshots[0]?.tensor.shape[0] ?? 1;
  const size = (values[0]?.length ?? 0) / rows;
  return Array.from({ length: rows }, (_, row) => {
    const products = values.map((a, i) =>
      values.slice(0, i + 1).map((b) => innerProduct(a, b, row * size, (row + 1) * size)),
    );
    return matrix(values.length, values.length, (i, j) => entry(products, Math.max(i, j), Math.min(i, j)));
  });
}

function innerProduct(a: Float32Array, b: Float32Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/**
 * The fit of one row from its inner products alone: XᵀX = VΣ²Vᵀ, UᵀAU = Σ⁻¹Vᵀ(XᵀX′)VΣ⁻¹, and the newest snapshot in the
 * least-squares sense of the modes X′VΣ⁻¹.
 * @param products [n, n], newest first
 */
function fitRow(products: Matrix): RowFit | undefined {
  const n = products.length;
  const old = (i: number, j: number) => entry(products, n - 1 - i, n - 1 - j); // oldest first
  const { values, vectors } = symmetricEigen(matrix(n - 1, n - 1, old));
  const sigma = values.map((value) => Math.sqrt(Math.max(value, 0)));
  const rank = Math.max(1, sigma.filter((value) => value > (sigma[0] ?? 0) * RANK_THRESHOLD).length);
  const modes = matrix(n - 1, rank, (i, mode) => entry(vectors, mode, i) / ((sigma[mode] ?? 0) + RIDGE));
  const left = matrix(rank, n - 1, (mode, i) => entry(vectors, mode, i) / (sigma[mode] ?? 1));
  const onward = multiply(
    left,
    multiply(
      matrix(n - 1, n - 1, (i, j) => old(i, j + 1)),
      modes,
    ),
  );

  const within = multiply(
    matrix(n - 1, n - 1, (i, j) => old(i + 1, j + 1)),
    modes,
  );
  const toModes = transpose(modes);
  const newest = multiply(
    toModes,
    matrix(n - 1, 1, (i) => old(i + 1, n - 1)),
  ).map((row) => row[0] ?? 0);
  const now = solve(multiply(toModes, within), newest);
  return now && { modes, onward, now };
}

/** The weight of each snapshot, newest first; a row without a usable fit holds the newest. */
function rowWeights(fit: RowFit | undefined, horizon: number, count: number): number[] {
  const held = Array.from({ length: count }, (_, i) => (i === 0 ? 1 : 0));
  if (!fit) return held;
  const then = powerTimes(fit.onward, horizon, fit.now);
  const oldestFirst = multiply(
    fit.modes,
    then.map((value) => [value]),
  ).map((row) => row[0] ?? 0);
  const weights = [...oldestFirst.reverse(), 0];
  return weights.every(Number.isFinite) ? weights : held;
}

/** Σ wᵢ·tensorᵢ with the weights of each row, or of one that holds for all. */
function combineRows(snapshots: readonly Snapshot[], rows: readonly (readonly number[])[]): tf.Tensor {
  return tf.tidy(() => {
    const parts = snapshots.map(({ tensor }, i) => {
      const column = rows.map((weights) => weights[i] ?? 0);
      return tf.mul(tensor, tf.tensor(column, [column.length, ...tensor.shape.slice(1).map(() => 1)]));
    });
    return tf.addN(parts);
  });
}
