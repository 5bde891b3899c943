import { entry, type Matrix, matrix, multiply } from './linear-algebra.ts';

/** A complex number [re, im]. */
type Complex = readonly [re: number, im: number];

const add = (a: Complex, b: Complex): Complex => [a[0] + b[0], a[1] + b[1]];
const subtract = (a: Complex, b: Complex): Complex => [a[0] - b[0], a[1] - b[1]];
const times = (a: Complex, b: Complex): Complex => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];

function divide(a: Complex, b: Complex): Complex {
  const size = b[0] ** 2 + b[1] ** 2;
  return [(a[0] * b[0] + a[1] * b[1]) / size, (a[1] * b[0] - a[0] * b[1]) / size];
}

/** zᵏ on the principal branch. */
function power([re, im]: Complex, k: number): Complex {
  const size = Math.hypot(re, im) ** k;
  const angle = k * Math.atan2(im, re);
  return [size * Math.cos(angle), size * Math.sin(angle)];
}

/**
 * Re(aᵏ·v) for a real square matrix a of a few rows and any k ≥ 0, the power taken on the principal branch of each
 * eigenvalue. aᵏ is the polynomial that takes the values λᵏ at the eigenvalues, in Newton's form, which needs no
 * eigenvectors and so bears eigenvalues that nearly coincide.
 */
export function powerTimes(a: Matrix, k: number, v: readonly number[]): number[] {
  const nodes = eigenvalues(a);
  const coefficients = dividedDifferences(nodes, k);
  let basis: Complex[] = v.map((value) => [value, 0]);
  let sum: Complex[] = v.map(() => [0, 0]);
  for (const [index, coefficient] of coefficients.entries()) {
    sum = sum.map((value, i) => add(value, times(coefficient, basis[i] ?? [0, 0])));
    const node = nodes[index] ?? [0, 0];
    const previous = basis;
    basis = previous.map((value, row) => {
      const image = previous.reduce<Complex>(
        (total, [re, im], column) => add(total, [entry(a, row, column) * re, entry(a, row, column) * im]),
        [0, 0],
      );
      return subtract(image, times(node, value));
    });
  }
  return sum.map(([re]) => re);
}

function dividedDifferences(nodes: readonly Complex[], k: number): Complex[] {
  let column = nodes.map((node) => power(node, k));
  const atFirst: Complex[] = [];
  for (let order = 0; order < nodes.length; order++) {
    atFirst.push(column[0] ?? [0, 0]);
    column = column.slice(1).map((upper, i) => {
      const distance = subtract(nodes[i + order + 1] ?? [0, 0], nodes[i] ?? [0, 0]);
      return divide(subtract(upper, column[i] ?? [0, 0]), distance);
    });
  }
  return atFirst;
}

/** The eigenvalues of a, no two the same. */
function eigenvalues(a: Matrix): Complex[] {
  return setApart(rootsOf(characteristicPolynomial(a)));
}

const ITERATIONS = 500;

/** The roots of λⁿ + c₁λⁿ⁻¹ + … + cₙ, by Weierstrass' simultaneous iteration. */
function rootsOf(coefficients: readonly number[]): Complex[] {
  const radius = 1 + Math.max(...coefficients.map(Math.abs));
  // a start off the real axis and off any symmetry of the roots
  const roots = coefficients.map((_, i) => times(power([0.4, 0.9], i), [radius, 0]));
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    let moved = 0;
    for (const [i, root] of roots.entries()) {
      const value = coefficients.reduce<Complex>((sum, c) => add(times(sum, root), [c, 0]), [1, 0]);
      const others = roots.filter((_, j) => j !== i);
      const step = divide(
        value,
        others.reduce<Complex>((product, other) => times(product, subtract(root, other)), [1, 0]),
      );
      if (!step.every(Number.isFinite)) continue; // two have met
      roots[i] = subtract(root, step);
      moved = Math.max(moved, Math.hypot(...step));
    }
    if (moved < Number.EPSILON) break;
  }
  return roots;
}

/** Roots nearer to each other than this part of the largest are moved apart, so that their difference can divide. */
const LEAST_DISTANCE = 1e-7;

function setApart(roots: readonly Complex[]): Complex[] {
  const distance =
    LEAST_DISTANCE * Math.max(Number.MIN_VALUE / LEAST_DISTANCE, ...roots.map((root) => Math.hypot(...root)));
  return roots.map((root, i) => {
    const near = roots.slice(0, i).filter((other) => Math.hypot(...subtract(root, other)) < distance);
    return add(root, [2 * distance * near.length, 0]);
  });
}

/** c₁…cₙ of λⁿ + c₁λⁿ⁻¹ + … + cₙ = det(λ − a), by Faddeev and LeVerrier's recursion. */
function characteristicPolynomial(a: Matrix): number[] {
  const n = a.length;
  const coefficients: number[] = [];
  let m: number[][] = matrix(n, n, (row, column) => (row === column ? 1 : 0));
  for (let k = 1; k <= n; k++) {
    const image = multiply(a, m);
    const c = -image.reduce((trace, row, i) => trace + (row[i] ?? 0), 0) / k;
    coefficients.push(c);
    m = image.map((row, i) => row.map((value, j) => (i === j ? value + c : value)));
  }
  return coefficients;
}
