import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OptionError, ShapeError } from '../../src/errors.ts';
import { frechetDistance } from '../../src/metrics/frechet.ts';
import { symmetricEigen } from '../../src/metrics/symmetric-eigen.ts';

interface StoredSets {
  readonly torchmetrics: number;
  /** Null where the formula has no matrix. */
  readonly scipy: number | null;
  readonly a: readonly number[][];
  readonly b: readonly number[][];
}

// written by test/fixtures/make_set_metrics.py
const { features } = JSON.parse(readFileSync(join(__dirname, '../fixtures/set-metrics.json'), 'utf8')) as {
  readonly features: Readonly<Record<string, StoredSets>>;
};
const sets = Object.entries(features);

/** −1 to 1, the same on every run. */
const wavy = (i: number) => Math.sin(i * i + 1);

describe('frechetDistance', () => {
  it.each(sets)("%s: torchmetrics'", (_, { torchmetrics, a, b }) => {
    expect(frechetDistance(a, b)).toBeCloseTo(torchmetrics, 6);
    expect(frechetDistance(b, a)).toBeCloseTo(torchmetrics, 6);
  });

  it.each(sets.filter(([, { scipy }]) => scipy !== null))("%s: scipy's sqrtm in the formula", (_, { scipy, a, b }) => {
    expect(frechetDistance(a, b)).toBeCloseTo(scipy!, 6);
  });

  it('is 0 between equal sets, never below', () => {
    for (const [, { a }] of sets) {
      const distance = frechetDistance(a, a);
      expect(distance).toBeGreaterThanOrEqual(0);
      expect(distance).toBeLessThan(1e-5);
    }
  });

  it('is the squared distance of the means for sets of one shape, also in float32 rows', () => {
    const a = Array.from({ length: 9 }, (_, i) => Float32Array.of(wavy(i), wavy(i + 20)));
    const b = a.map(([x = 0, y = 0]) => Float32Array.of(x + 2, y - 1));
    expect(frechetDistance(a, b)).toBeCloseTo(5, 5);
  });

  it('refuses what has no covariance, and rows of different length', () => {
    expect(() =>
      frechetDistance(
        [[1, 2]],
        [
          [1, 2],
          [2, 1],
        ],
      ),
    ).toThrow(OptionError);
    expect(() => frechetDistance([], [])).toThrow('at least 2 vectors a set, got 0');
    const two = [
      [1, 2],
      [3, 4],
    ];
    expect(() => frechetDistance(two, [[1], [2]])).toThrow(ShapeError);
    expect(() => frechetDistance([[1, 2], [3]], two)).toThrow('of one length, got 2 and 1');
  });
});

describe('symmetricEigen', () => {
  const symmetric = (size: number) =>
    Float64Array.from({ length: size * size }, (_, i) => {
      const [row, column] = [Math.floor(i / size), i % size];
      return wavy(Math.max(row, column) * 31 + Math.min(row, column));
    });

  it.each([1, 2, 3, 10, 40])('of %i rows gives orthonormal vectors that make the matrix again', (size) => {
    const values = symmetric(size);
    const eigen = symmetricEigen({ size, values });
    const v = (row: number, column: number) => eigen.vectors.values[row * size + column]!;
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        let [again, inner] = [0, 0];
        for (let k = 0; k < size; k++) {
          again += v(row, k) * eigen.values[k]! * v(column, k);
          inner += v(k, row) * v(k, column);
        }
        expect(again).toBeCloseTo(values[row * size + column]!, 11);
        expect(inner).toBeCloseTo(row === column ? 1 : 0, 12);
      }
    }
  });

  it('knows the eigenvalues of 2·I − neighbours: 2 − 2·cos(kπ/(n+1))', () => {
    const size = 12;
    const values = Float64Array.from({ length: size * size }, (_, i) => {
      const apart = Math.abs(Math.floor(i / size) - (i % size));
      return apart === 0 ? 2 : apart === 1 ? -1 : 0;
    });
    const found = [...symmetricEigen({ size, values }).values].sort((a, b) => a - b);
    found.forEach((value, k) => {
      expect(value).toBeCloseTo(2 - 2 * Math.cos(((k + 1) * Math.PI) / (size + 1)), 13);
    });
  });

  it('leaves its input alone, and is done at once with a diagonal', () => {
    const values = Float64Array.of(3, 0, 0, -5);
    expect([...symmetricEigen({ size: 2, values }).values]).toEqual([3, -5]);
    const full = symmetric(6);
    const before = full.slice();
    symmetricEigen({ size: 6, values: full });
    expect(full).toEqual(before);
  });
});
