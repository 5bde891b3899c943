import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { fora } from '../../src/cache/policies/fora.ts';
import { forecast } from '../../src/cache/policies/forecast.ts';
import { plansSpec } from '../../src/lab/plan-figure.ts';
import { planSetting } from '../support/plans.ts';

/** The maps' runs of blocks, as "step first-end state". */
function mapsOf(spec: ReturnType<typeof plansSpec>): string[][] {
  const { concat } = spec as unknown as {
    concat: { data: { values: { from: number; first: number; end: number; state: string }[] } }[];
  };
  return concat.map(({ data }) => data.values.map(({ from, first, end, state }) => `${from} ${first}-${end} ${state}`));
}

it('maps each plan, blocks that are treated alike as one', () => {
  const setting = planSetting(4, 8);
  const plan = deltaDiT({ cachedBlocks: 6, stageBound: 2, interval: 2 }).plan(setting);
  const [stages, branches, model] = mapsOf(
    plansSpec([
      { name: 'stages', plan },
      { name: 'all branches', plan: fora({ interval: 2 }).plan(planSetting(3, 8)) },
      { name: 'the model', plan: forecast({ interval: 2, predictor: { name: 'hold' } }).plan(setting) },
    ]),
  );
  expect(stages).toEqual([
    ...['0 0-2 computed', '0 2-8 computed and stored', '1 0-2 computed', '1 2-8 reused'],
    ...['2 0-6 computed and stored', '2 6-8 computed', '3 0-6 reused', '3 6-8 computed'],
  ]);
  expect(branches).toEqual(['0 0-8 computed and stored', '1 0-8 reused', '2 0-8 computed']);
  expect(model).toContain('1 0-8 reused');
});

it('tells branches that are reused from blocks that are', () => {
  const plan = fora({ interval: 2, branches: ['self'] }).plan(planSetting(3, 3));
  expect(mapsOf(plansSpec([{ name: 'attentions', plan }]))).toEqual([
    ['0 0-3 computed and stored', '1 0-3 reused in part', '2 0-3 computed'],
  ]);
});
