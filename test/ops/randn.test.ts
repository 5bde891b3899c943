import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TorchGenerator } from '../../src/ops/randn.ts';
import { PARITY } from '../support/fixtures.ts';

interface Draw {
  readonly size: number;
  readonly values?: number[];
  readonly first?: number[];
  readonly last?: number[];
  readonly sum: number;
  readonly weightedSum: number;
}
interface RandnFixture {
  readonly single: (Draw & { readonly seed: number })[];
  readonly sequences: { readonly seed: number; readonly draws: Draw[] }[];
}
const { single, sequences } = JSON.parse(readFileSync(join(PARITY, 'randn.json'), 'utf8')) as RandnFixture;

/** Sine, cosine and logarithm of libm and of V8 differ in the last bit. */
const TOLERANCE = 1e-6;

function expectDraw(got: Float32Array, want: Draw): void {
  expect(got).toHaveLength(want.size);
  expectNear(got.slice(0, want.values?.length ?? want.first?.length), want.values ?? want.first ?? []);
  expectNear(got.slice(-(want.last?.length ?? 1)), want.last ?? (want.values ?? []).slice(-1));
  const sum = got.reduce((total, x) => total + x, 0);
  const weighted = got.reduce((total, x, i) => total + ((i + 1) * x) / want.size, 0);
  expect(Math.abs(sum - want.sum)).toBeLessThan(TOLERANCE * want.size);
  expect(Math.abs(weighted - want.weightedSum)).toBeLessThan(TOLERANCE * want.size);
}

function expectNear(got: Float32Array, want: readonly number[]): void {
  expect(got).toHaveLength(want.length);
  want.forEach((value, i) => {
    expect(Math.abs((got[i] ?? Number.NaN) - value)).toBeLessThanOrEqual(TOLERANCE * Math.max(1, Math.abs(value)));
  });
}

describe("TorchGenerator against torch's CPU randn", () => {
  it.each(single)('seed $seed, $size numbers', (want) => {
    expectDraw(new TorchGenerator(want.seed).randn(want.size), want);
  });

  it.each(sequences.map(({ seed, draws }) => ({ seed, draws, sizes: draws.map(({ size }) => size).join(', ') })))(
    'one generator, draws of $sizes',
    ({ seed, draws }) => {
      const generator = new TorchGenerator(seed);
      for (const want of draws) expectDraw(generator.randn(want.size), want);
    },
  );

  it('draws nothing for a count of 0 and leaves the state alone', () => {
    const generator = new TorchGenerator(7);
    expect(generator.randn(0)).toHaveLength(0);
    expect(generator.randn(16)).toEqual(new TorchGenerator(7).randn(16));
  });
});
