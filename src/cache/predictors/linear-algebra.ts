/** Linear algebra of a few unknowns in double precision, for fits over a handful of snapshots. Matrices are rows. */

export type Matrix = readonly (readonly number[])[];

export function entry(a: Matrix, row: number, column: number): number {
  return a[row]?.[column] ?? 0;
}

export function matrix(rows: number, columns: number, at: (row: number, column: number) => number): number[][] {
  return Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => at(row, column)));
}

export function multiply(a: Matrix, b: Matrix): number[][] {
  return matrix(a.length, b[0]?.length ?? 0, (row, column) =>
    b.reduce((sum, _, k) => sum + entry(a, row, k) * entry(b, k, column), 0),
  );
}

export function transpose(a: Matrix): number[][] {
  return matrix(a[0]?.length ?? 0, a.length, (row, column) => entry(a, column, row));
}

/** x of a·x = b, by elimination with row pivots; undefined where a is singular. */
export function solve(a: Matrix, b: readonly number[]): number[] | undefined {
  const n = b.length;
  const rows = a.map((row, i) => [...row, b[i] ?? 0]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(entry(rows, i, k)) > Math.abs(entry(rows, pivot, k))) pivot = i;
    }
    const top = rows[pivot] ?? [];
    if (!(Math.abs(top[k] ?? 0) > 0)) return undefined;
    rows[pivot] = rows[k] ?? [];
    rows[k] = top;
    for (let i = 0; i < n; i++) {
      const factor = i === k ? 0 : entry(rows, i, k) / (top[k] ?? 1);
      if (factor !== 0) rows[i] = (rows[i] ?? []).map((value, j) => value - factor * (top[j] ?? 0));
    }
  }
  return rows.map((row, k) => (row[n] ?? 0) / (row[k] ?? 1));
}

const SWEEPS = 30;

/** Eigenvalues, largest first, and unit eigenvectors of a symmetric matrix, by Jacobi rotations. */
export function symmetricEigen(symmetric: Matrix): { readonly values: number[]; readonly vectors: number[][] } {
  const n = symmetric.length;
  let a = symmetric.map((row) => [...row]);
  let vectors = matrix(n, n, (row, column) => (row === column ? 1 : 0));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (entry(a, p, q) === 0) continue;
        const rotation = jacobiRotation(a, p, q);
        a = multiply(transpose(rotation), multiply(a, rotation));
        vectors = multiply(vectors, rotation);
      }
    }
  }
  const order = a.map((_, i) => i).sort((i, j) => entry(a, j, j) - entry(a, i, i));
  return {
    values: order.map((i) => entry(a, i, i)),
    vectors: order.map((i) => vectors.map((row) => row[i] ?? 0)),
  };
}

/** The rotation in the plane of p and q that makes a[p][q] zero. */
function jacobiRotation(a: Matrix, p: number, q: number): number[][] {
  const theta = (entry(a, q, q) - entry(a, p, p)) / (2 * entry(a, p, q));
  const tangent = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const cosine = 1 / Math.hypot(tangent, 1);
  const sine = tangent * cosine;
  return matrix(a.length, a.length, (row, column) => {
    if (row === p && column === q) return sine;
    if (row === q && column === p) return -sine;
    if (row !== column) return 0;
    return row === p || row === q ? cosine : 1;
  });
}
