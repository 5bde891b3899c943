import { labGrid } from '../../src/lab/lab-grids.ts';
import type { LabRow } from '../../src/lab/lab-table.ts';
import { type ClaimSetting, judgeClaims, type PaperModel } from '../../src/lab/paper-claims.ts';
import type { SamplerName } from '../../src/schedulers/samplers.ts';

function setting(
  model: PaperModel,
  sampler: SamplerName,
  numInferenceSteps = 20,
): ClaimSetting & { sampler: SamplerName } {
  return { model, sampler, numInferenceSteps, depth: 28 };
}

/** Rows of the paper's grids whose measures are all one number. */
function rowsOf(of: ClaimSetting & { sampler: SamplerName }, measureOf: (method: string) => number): LabRow[] {
  return labGrid(['paper', 'sweep'], of).methods.map(({ name }) => {
    const value = measureOf(name);
    const nearness = { gradientDifference: value, highFrequencyError: value };
    const recognised = { frechetDistance: value, inceptionScore: value, agreement: { found: value } };
    return { method: name, toConverged: nearness, piqe: value, recognised } as unknown as LabRow;
  });
}

it.each([
  ['DiT-XL', 'ddim', 20, 11],
  ['PixArt-α', 'dpm-solver++', 20, 16],
  ['PixArt-α-LCM', 'lcm', 4, 3],
] as const)('finds every row of the claims about %s in the grids', (model, sampler, steps, count) => {
  const of = setting(model, sampler, steps);
  expect(
    judgeClaims(
      rowsOf(of, () => 1),
      of,
    ),
  ).toHaveLength(count);
});

it('confirms an order where the numbers rise, and not where two are equal', () => {
  const of = setting('DiT-XL', 'ddim');
  const regions = { front: 1, middle: 2, rear: 3 };
  const measured = (name: string) => Object.entries(regions).find(([region]) => name.includes(region))?.[1] ?? 0;
  const byMeasure = new Map(judgeClaims(rowsOf(of, measured), of).map((one) => [`${one.source} ${one.measure}`, one]));
  const outlines = byMeasure.get('Table 1: caching the front softens outlines, caching the rear keeps them gradient');
  expect(outlines).toMatchObject({
    confirmed: true,
    rising: [
      { row: 'front', published: 36.17, measured: 1 },
      { row: 'middle', published: 42.836, measured: 2 },
      { row: 'rear', published: 59.32, measured: 3 },
    ],
  });
  expect(byMeasure.get('Table 1: the rear keeps high frequencies best high-frequency error')?.confirmed).toBe(false);
  expect(
    judgeClaims(
      rowsOf(of, () => 1),
      of,
    ).some(({ confirmed }) => confirmed),
  ).toBe(false);
});

it('leaves out claims whose rows are not there', () => {
  const of = setting('PixArt-α', 'dpm-solver++');
  const without = rowsOf(of, () => 1).filter(({ method }) => !method.includes('b='));
  expect(judgeClaims(without, of)).toHaveLength(14);
  expect(judgeClaims([], of)).toEqual([]);
});

it('takes b and N_c as shares of other steps and depths', () => {
  const of = { ...setting('PixArt-α', 'deis', 40), depth: 12 };
  expect(
    judgeClaims(
      rowsOf(of, () => 1),
      of,
    ),
  ).toHaveLength(16);
});
