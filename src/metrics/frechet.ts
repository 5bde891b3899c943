import { OptionError, ShapeError } from '../errors.ts';
import { type SquareMatrix, symmetricEigen } from './symmetric-eigen.ts';

/** A row of numbers for each picture, all of one length. */
export type FeatureRows = readonly ArrayLike<number>[];

/**
 * Fréchet distance of the normal distributions that two sets of feature vectors suggest:
 * |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2·(Σ_a·Σ_b)^½), covariances over n − 1 (Heusel et al., arXiv 1706.08500, §4; the FID
 * where the features are those of Inception v3). 0 for equal sets. Sets of fewer vectors than features + 1 give a
 * covariance without full rank and a distance that is too large; compare only distances of equally many pictures.
 *
 * The trace is that of the symmetric (A·Σ_b·A)^½ with A = Σ_a^½, which has the same eigenvalues and, unlike the square
 * root of the product, none that rounding makes complex. In double precision.
 * @throws OptionError for sets of fewer than two vectors; ShapeError where lengths differ
 */
export function frechetDistance(a: FeatureRows, b: FeatureRows): number {
  const [first, second] = [momentsOf(a), momentsOf(b)];
  if (first.mean.length !== second.mean.length)
    throw new ShapeError(
      `frechetDistance: expected features of one length, got ${first.mean.length} and ${second.mean.length}`,
    );
  const meanDistance = first.mean.reduce((sum, value, i) => sum + (value - (second.mean[i] ?? 0)) ** 2, 0);
  const traces = traceOf(first.covariance) + traceOf(second.covariance);
  const root = squareRoot(first.covariance);
  const { values } = symmetricEigen(product(product(root, second.covariance), root));
  const rootTrace = values.reduce((sum, value) => sum + Math.sqrt(Math.max(value, 0)), 0);
  return Math.max(meanDistance + traces - 2 * rootTrace, 0);
}

interface Moments {
  readonly mean: Float64Array;
  readonly covariance: SquareMatrix;
}

function momentsOf(rows: FeatureRows): Moments {
  const [{ length: size } = { length: 0 }] = rows;
  if (rows.length < 2) throw new OptionError(`frechetDistance: expected at least 2 vectors a set, got ${rows.length}`);
  const odd = rows.find((row) => row.length !== size);
  if (odd || size === 0)
    throw new ShapeError(`frechetDistance: expected features of one length, got ${size} and ${odd?.length ?? 0}`);
  const mean = new Float64Array(size);
  for (const row of rows) for (let i = 0; i < size; i++) mean[i] = (mean[i] ?? 0) + (row[i] ?? 0) / rows.length;
  const values = new Float64Array(size * size);
  for (const row of rows) {
    for (let i = 0; i < size; i++) {
      const centred = ((row[i] ?? 0) - (mean[i] ?? 0)) / (rows.length - 1);
      for (let j = 0; j < size; j++) {
        values[i * size + j] = (values[i * size + j] ?? 0) + centred * ((row[j] ?? 0) - (mean[j] ?? 0));
      }
    }
  }
  return { mean, covariance: { size, values } };
}

function traceOf({ size, values }: SquareMatrix): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += values[i * size + i] ?? 0;
  return sum;
}

function product(a: SquareMatrix, b: SquareMatrix): SquareMatrix {
  const { size } = a;
  const values = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < size; k++) {
      const factor = a.values[i * size + k] ?? 0;
      for (let j = 0; j < size; j++)
        values[i * size + j] = (values[i * size + j] ?? 0) + factor * (b.values[k * size + j] ?? 0);
    }
  }
  return { size, values };
}

/** V·√λ·Vᵀ of a positive semidefinite matrix; what rounding made negative counts as 0. */
function squareRoot(matrix: SquareMatrix): SquareMatrix {
  const { size } = matrix;
  const { values, vectors } = symmetricEigen(matrix);
  const scaled = vectors.values.map((value, i) => value * Math.sqrt(Math.max(values[i % size] ?? 0, 0)));
  const transposed = vectors.values.map((_, i) => vectors.values[(i % size) * size + Math.floor(i / size)] ?? 0);
  return product({ size, values: scaled }, { size, values: transposed });
}
