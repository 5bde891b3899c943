import { multiply, solve, symmetricEigen, transpose } from '../../../src/cache/predictors/linear-algebra.ts';
import { powerTimes } from '../../../src/cache/predictors/matrix-power.ts';
import { TorchGenerator } from '../../../src/ops/randn.ts';

const randomMatrix = (n: number, seed: number): number[][] => {
  const values = new TorchGenerator(seed).randn(n * n);
  return Array.from({ length: n }, (_, i) => Array.from(values.slice(i * n, (i + 1) * n)));
};
const column = (v: readonly number[]) => v.map((value) => [value]);
const flat = (m: readonly (readonly number[])[]) => m.map(([value]) => value!);
const largestGap = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

describe('solve', () => {
  it.each([1, 2, 5, 9])('meets its equations: %i unknowns', (n) => {
    const [a, b] = [randomMatrix(n, n), randomMatrix(n, 40 + n)[0]!];
    expect(largestGap(flat(multiply(a, column(solve(a, b)!))), b)).toBeLessThan(1e-9);
  });

  it('swaps rows for a pivot, and says when there is none', () => {
    expect(
      solve(
        [
          [0, 1],
          [2, 0],
        ],
        [3, 4],
      ),
    ).toEqual([2, 3]);
    expect(
      solve(
        [
          [1, 2],
          [2, 4],
        ],
        [1, 2],
      ),
    ).toBeUndefined();
    expect(solve([[Number.NaN]], [1])).toBeUndefined();
  });
});

describe('symmetricEigen', () => {
  it.each([1, 2, 3, 5])('a·v = λ·v, largest first, vectors of unit length: %i rows', (n) => {
    const root = randomMatrix(n, 7 * n);
    const a = multiply(root, transpose(root));
    const { values, vectors } = symmetricEigen(a);
    expect(values).toEqual([...values].sort((x, y) => y - x));
    for (const [i, vector] of vectors.entries()) {
      expect(
        largestGap(
          flat(multiply(a, column(vector))),
          vector.map((x) => x * values[i]!),
        ),
      ).toBeLessThan(1e-12 * values[0]! * 10);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 12);
    }
  });

  it('separates eigenvalues eight orders apart', () => {
    const { vectors: axes } = symmetricEigen([
      [2, 1, 0],
      [1, 3, 1],
      [0, 1, 5],
    ]);
    const a = multiply(
      transpose(axes),
      axes.map((axis, i) => axis.map((x) => x * [1, 1e-4, 1e-8][i]!)),
    );
    const { values } = symmetricEigen(a);
    expect(values[1]! / 1e-4 - 1).toBeLessThan(1e-10);
    expect(Math.abs(values[2]! / 1e-8 - 1)).toBeLessThan(1e-6);
  });
});

describe('powerTimes', () => {
  it.each([1, 2, 3, 4, 5])('whole powers are products: %i rows', (n) => {
    const [a, v] = [randomMatrix(n, 11 * n), randomMatrix(n, 90 + n)[0]!];
    const cubed = flat(multiply(a, multiply(a, multiply(a, column(v)))));
    expect(largestGap(powerTimes(a, 3, v), cubed)).toBeLessThan(1e-7 * Math.max(1, ...cubed.map(Math.abs)));
    expect(largestGap(powerTimes(a, 1, v), flat(multiply(a, column(v))))).toBeLessThan(1e-9);
  });

  it('takes roots of a rotation, and of one that grows', () => {
    const turn = (angle: number, by: number) => [
      [by * Math.cos(angle), -by * Math.sin(angle)],
      [by * Math.sin(angle), by * Math.cos(angle)],
    ];
    const third = flat(multiply(turn(0.4, 1.1), column([1, 2])));
    expect(largestGap(powerTimes(turn(1.2, 1.1 ** 3), 1 / 3, [1, 2]), third)).toBeLessThan(1e-12);
  });

  it('the real part of a root of a negative eigenvalue', () => {
    expect(powerTimes([[-8]], 1 / 3, [1])[0]).toBeCloseTo(2 * Math.cos(Math.PI / 3), 12);
  });

  it('bears eigenvalues that coincide, with one eigenvector or with two', () => {
    expect(
      largestGap(
        powerTimes(
          [
            [1, 1],
            [0, 1],
          ],
          0.5,
          [0, 1],
        ),
        [0.5, 1],
      ),
    ).toBeLessThan(1e-6);
    expect(
      largestGap(
        powerTimes(
          [
            [4, 0],
            [0, 4],
          ],
          0.5,
          [1, 3],
        ),
        [2, 6],
      ),
    ).toBeLessThan(1e-6);
    expect(
      Math.hypot(
        ...powerTimes(
          [
            [0, 0],
            [0, 0],
          ],
          0.5,
          [1, 1],
        ),
      ),
    ).toBeLessThan(1e-7);
  });
});
