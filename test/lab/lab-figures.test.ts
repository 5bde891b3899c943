import { frontierSpec, sweepSpec } from '../../src/lab/lab-figures.ts';
import type { LabRow, Nearness } from '../../src/lab/lab-table.ts';
import { spreadOf } from '../../src/lab/spread.ts';

const near = (psnr: number): Nearness => ({ psnr, ssim: 1, gradientDifference: 0, highFrequencyError: 0 });

interface Given {
  readonly speed: number;
  readonly psnr: number;
  readonly uncached?: number;
  readonly frechet?: number;
}

function row(method: string, family: string, { speed, psnr, uncached, frechet }: Given): LabRow {
  return {
    ...{ method, family, sampler: 'ddim', numInferenceSteps: 20, pictures: 2 },
    ...{ timed: { kind: 'rounds', count: 5, pictures: 1 }, secondsPerPicture: 1 / speed, latencyRatio: speed },
    ...{ latencyRatios: spreadOf([speed]), macsRatio: speed, peakCachedBytes: 0, piqe: 0, margin: null },
    toConverged: near(psnr),
    toUncached: uncached === undefined ? null : near(uncached),
    recognised: frechet === undefined ? null : { frechetDistance: frechet, inceptionScore: 1, agreement: null },
  };
}

const ROWS = [
  row('ddim, 20 steps', 'ddim', { speed: 1, psnr: 30, frechet: 0.5 }),
  row('ddim, 10 steps', 'ddim', { speed: 2, psnr: 25, frechet: 0.9 }),
  row('near, ddim, 20 steps', 'near', { speed: 1.5, psnr: 29, uncached: 40, frechet: 0.7 }),
  row('far, ddim, 20 steps', 'far', { speed: 1.4, psnr: 20, uncached: 35, frechet: 0.6 }),
];

const valuesOf = (spec: ReturnType<typeof frontierSpec> | null) =>
  ((spec as { data?: { values?: Record<string, unknown>[] } })?.data?.values ?? []) as Record<string, unknown>[];

describe('a frontier', () => {
  it('has a point a row, the uncached ones as one family a sampler', () => {
    expect(valuesOf(frontierSpec('converged', ROWS)).map(({ family, speed, value }) => [family, speed, value])).toEqual(
      [
        ['ddim, no cache', 1, 30],
        ['ddim, no cache', 2, 25],
        ['near', 1.5, 29],
        ['far', 1.4, 20],
      ],
    );
  });

  it.each([
    ['converged', ['near, ddim, 20 steps']],
    ['frechet', ['near, ddim, 20 steps', 'far, ddim, 20 steps']],
    ['uncached', ['near, ddim, 20 steps']],
  ] as const)('%s: names the cached rows that no row beats in both', (question, named) => {
    const values = valuesOf(frontierSpec(question, ROWS));
    expect(values.flatMap(({ best, method }) => (best ? [method] : []))).toEqual(named);
  });

  it('leaves out the name of a row that would lie on that of a nearer one', () => {
    const beside = row('beside', 'near', { speed: 1.55, psnr: 28.9, frechet: 0.7 });
    const below = row('below', 'near', { speed: 1.55, psnr: 27, frechet: 0.7 });
    const named = (rows: readonly LabRow[]) =>
      valuesOf(frontierSpec('converged', rows)).flatMap(({ best, method }) => (best ? [method] : []));
    expect(named([...ROWS, beside])).toEqual(['near, ddim, 20 steps']);
    expect(named([...ROWS, below])).toEqual(['near, ddim, 20 steps', 'below']);
  });

  it('leaves out rows without a number', () => {
    const values = valuesOf(
      frontierSpec('uncached', [...ROWS, row('same', 'same', { speed: 1, psnr: Infinity, uncached: Infinity })]),
    );
    expect(values.map(({ method }) => method)).toEqual(['near, ddim, 20 steps', 'far, ddim, 20 steps']);
  });
});

describe('Fig. 5', () => {
  const swept = [0, 12, 20].map((b) =>
    row(`delta-dit b=${b}, ddim, 20 steps`, 'delta-dit', {
      speed: 1.6,
      psnr: 30 + b,
      uncached: 40,
      frechet: 1 - b / 100,
    }),
  );

  it('draws PSNR and Fréchet distance over the rows that were swept', () => {
    const points = valuesOf(sweepSpec('b', [...ROWS, ...swept]));
    expect(
      points.filter(({ line }) => line === 'to converged').map(({ x, psnr, frechet }) => [x, psnr, frechet]),
    ).toEqual([
      [0, 30, 1],
      [12, 42, 0.88],
      [20, 50, 0.8],
    ]);
    expect(JSON.stringify(sweepSpec('b', swept))).toContain('Fréchet distance to converged');
  });

  it('leaves out Fréchet distance without a classifier', () => {
    const without = swept.map((one) => ({ ...one, recognised: null }));
    expect(JSON.stringify(sweepSpec('b', without))).not.toContain('Fréchet');
  });

  it('is not drawn where nothing was swept', () => {
    expect(sweepSpec('N_c', [...ROWS, ...swept])).toBeNull();
    expect(sweepSpec('b', swept.slice(0, 1))).toBeNull();
  });
});
