/** Row by row, size × size. */
export interface SquareMatrix {
  readonly size: number;
  readonly values: Float64Array;
}

/** A = V·diag(λ)·Vᵀ. */
export interface Eigen {
  /** λ, in no order. */
  readonly values: Float64Array;
  /** V: column i belongs to value i. */
  readonly vectors: SquareMatrix;
}

/** Each sweep squares what is left, once it is small; six to ten suffice for hundreds of rows. */
const MAX_SWEEPS = 60;
/** Of the matrix' norm: what is left beside the diagonal is then far below rounding in every eigenvalue. */
const NEGLIGIBLE = 1e-18;

/**
 * Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, Matrix Computations,
 * §8.5), which find small eigenvalues as well as any method does; O(size³) a sweep, for hundreds of rows.
 * @param matrix taken as symmetric: only its lower triangle's mirror image is believed where the two differ
 */
export function symmetricEigen({ size, values }: SquareMatrix): Eigen {
  const a = Float64Array.from(values, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    return values[Math.max(row, column) * size + Math.min(row, column)] ?? 0;
  });
  const v = Float64Array.from(values, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  const norm = a.reduce((sum, value) => sum + value * value, 0);
  for (let sweep = 0; sweep < MAX_SWEEPS && offDiagonal(a, size) > NEGLIGIBLE ** 2 * norm; sweep++) {
    for (let p = 0; p < size - 1; p++) for (let q = p + 1; q < size; q++) rotate(a, v, size, p, q);
  }
  const found = Float64Array.from({ length: size }, (_, i) => a[i * size + i] ?? 0);
  return { values: found, vectors: { size, values: v } };
}

/** The sum of squares above the diagonal. */
function offDiagonal(a: Float64Array, size: number): number {
  let sum = 0;
  for (let row = 0; row < size; row++)
    for (let column = row + 1; column < size; column++) sum += (a[row * size + column] ?? 0) ** 2;
  return sum;
}

/** One rotation of the plane (p, q), which brings A[p,q] to 0: A ← JᵀAJ, V ← VJ. */
function rotate(a: Float64Array, v: Float64Array, size: number, p: number, q: number): void {
  const off = a[p * size + q] ?? 0;
  if (off === 0) return;
  const theta = ((a[q * size + q] ?? 0) - (a[p * size + p] ?? 0)) / (2 * off);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(theta, 1)); // the smaller of the two angles
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  const turn = (m: Float64Array, i: number, j: number) => {
    const [x, y] = [m[i] ?? 0, m[j] ?? 0];
    m[i] = c * x - s * y;
    m[j] = s * x + c * y;
  };
  for (let k = 0; k < size; k++) turn(a, k * size + p, k * size + q);
  for (let k = 0; k < size; k++) turn(a, p * size + k, q * size + k);
  for (let k = 0; k < size; k++) turn(v, k * size + p, k * size + q);
  a[p * size + q] = 0;
  a[q * size + p] = 0;
}
