import { OptionError } from '../errors.ts';

/**
 * The polynomial of a degree that is nearest to the points in least squares, as `numpy.polyfit`: by a QR decomposition of
 * the powers, each column scaled to length 1.
 * @returns degree + 1 coefficients, the highest power first
 * @throws OptionError when the points do not determine it
 */
export function fitPolynomial(x: readonly number[], y: readonly number[], degree: number): readonly number[] {
  const powers = Array.from({ length: degree + 1 }, (_, i) => x.map((value) => value ** (degree - i)));
  const lengths = powers.map(norm);
  const basis: number[][] = []; // Q, a column each
  const upper: number[][] = []; // R, a column each
  for (const [i, power] of powers.entries()) {
    let column = power.map((value) => value / (lengths[i] ?? 1));
    const ofBasis = Array<number>(basis.length).fill(0);
    for (let pass = 0; pass < 2; pass++) {
      // a second pass takes off what rounding left
      for (const [j, other] of basis.entries()) {
        const part = dot(other, column);
        ofBasis[j] = (ofBasis[j] ?? 0) + part;
        column = column.map((value, row) => value - part * (other[row] ?? 0));
      }
    }
    const rest = norm(column);
    if (!(rest > RANK_THRESHOLD)) throw undetermined(x.length, degree);
    upper.push([...ofBasis, rest]);
    basis.push(column.map((value) => value / rest));
  }
  const wanted = basis.map((column) => dot(column, y));
  const scaled = Array<number>(degree + 1).fill(0);
  for (let i = degree; i >= 0; i--) {
    const known = scaled.reduce((sum, value, j) => (j > i ? sum + value * (upper[j]?.[i] ?? 0) : sum), 0);
    scaled[i] = ((wanted[i] ?? 0) - known) / (upper[i]?.[i] ?? 1);
  }
  return scaled.map((value, i) => value / (lengths[i] ?? 1));
}

/** A column that the others make up to rounding says nothing. */
const RANK_THRESHOLD = 1e-12;

function undetermined(points: number, degree: number): OptionError {
  return new OptionError(
    `fit: ${points} points, or too few that differ, do not determine a polynomial of degree ${degree}; calibrate with more steps or samples`,
  );
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

function norm(a: readonly number[]): number {
  return Math.sqrt(dot(a, a));
}
