import { countBlocks } from '../../src/cache/plan.ts';
import { isStatic } from '../../src/cache/policy.ts';
import type { LabMethod } from '../../src/lab/lab-method.ts';
import { blockCandidates, type Fits, modelCandidates } from '../../src/lab/tune-candidates.ts';

const SETTING = { depth: 28, branches: ['self', 'mlp'] as const };
const planOf = ({ cache, numInferenceSteps }: LabMethod) => {
  if (cache && !isStatic(cache)) throw new Error('a plan was expected');
  return cache?.plan({ ...SETTING, numInferenceSteps, timesteps: [] });
};
/** Evaluations of the model, and what a step takes besides. */
const costOf = (method: LabMethod, overhead: number) => {
  const plan = planOf(method);
  const computed = plan ? countBlocks(plan).computed / plan.depth : method.numInferenceSteps;
  return computed + overhead * method.numInferenceSteps;
};
const within =
  (budget: number, overhead: number): Fits =>
  (method) =>
    costOf(method, overhead) <= budget;
const all = (fits: Fits) => [...modelCandidates(fits), ...blockCandidates('deis', SETTING, fits)];

it.each([5, 8, 13.3])('fits into %d evaluations, as far as T = k·N + 1 goes', (budget) => {
  const fits = within(budget, 0.05);
  const candidates = all(fits);
  expect(candidates.length).toBeGreaterThan(30);
  expect(new Set(candidates.map(({ name }) => name)).size).toBe(candidates.length);
  for (const method of candidates) {
    expect(fits(method)).toBe(true);
    expect(planOf(method)?.steps.at(-1)?.reuse ?? []).toEqual([]); // the last step is full
  }
});

it('takes fewer steps where skipped ones cost something', () => {
  const steps = (overhead: number) =>
    modelCandidates(within(10, overhead))
      .filter(({ name }) => name.startsWith('forecast N=4 linear'))
      .map(({ numInferenceSteps }) => numInferenceSteps);
  expect(steps(0)).toEqual([37, 37, 37]); // 9 + 1 evaluations
  expect(steps(0.1)).toEqual([25, 25, 25]); // 7, and 2.5 for 25 steps
});

it('tries every region in several widths, the order of two, and kinds of branches', () => {
  const names = blockCandidates('deis', SETTING, within(10, 0)).map(({ name }) => name);
  for (const region of ['front', 'middle', 'rear'])
    for (const width of [14, 21, 25])
      expect(names.filter((name) => name.startsWith(`delta-cache-${region} N_c=${width} `))).toHaveLength(4);
  for (const kind of ['self+mlp', 'self', 'mlp'])
    expect(names.filter((name) => name.startsWith(`fora ${kind} N=`))).toHaveLength(4);
  for (const order of ['rear-front', 'front-rear'])
    expect(names.filter((name) => name.startsWith(`delta-dit ${order} b=`))).toHaveLength(2);
});

it('is empty where nothing is left to compute', () => {
  expect(all(within(0.5, 0))).toEqual([]);
});
