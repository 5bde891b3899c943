import { countBlocks } from '../../src/cache/plan.ts';
import { paperMethods } from '../../src/lab/bench-methods.ts';
import { planSetting, reuseOf, staticPlan } from '../support/plans.ts';

it("are the paper's for its setting, all of one cost, between 12 and 13 uncached steps", () => {
  const setting = planSetting(20, 28);
  const methods = paperMethods(setting);
  expect(methods.map(({ name, numInferenceSteps }) => `${name}: ${numInferenceSteps}`)).toEqual([
    'delta-dit: 20',
    'delta-cache-front: 20',
    'delta-cache-middle: 20',
    'delta-cache-rear: 20',
    'feature-cache-front: 20',
    'feature-cache-rear: 20',
    '13 steps: 13',
    '12 steps: 12',
  ]);
  const cached = methods.flatMap(({ cache }) => cache ?? []);
  expect(cached.map((cache) => countBlocks(staticPlan(cache, setting)).computed)).toEqual(Array(6).fill(350)); // of 560
});

it('takes one number of steps where the cost is a whole one', () => {
  // 16 · (1 − ½ · ¾)
  const methods = paperMethods(planSetting(16, 28));
  expect(methods.filter(({ cache }) => !cache).map(({ numInferenceSteps }) => numInferenceSteps)).toEqual([10]);
});

it('has no fewer steps that are none fewer', () => {
  const steps = (numInferenceSteps: number) =>
    paperMethods(planSetting(numInferenceSteps, 28))
      .filter(({ cache }) => !cache)
      .map((one) => one.numInferenceSteps);
  expect(steps(4)).toEqual([3]); // 4 · (1 − ½ · 6/28) = 3.57: 4 steps are the uncached run itself
  expect(steps(1)).toEqual([]);
});

it('has both rows of Table 3 for few steps', () => {
  const setting = planSetting(4, 28);
  const methods = paperMethods(setting);
  expect(methods.map(({ name }) => name)).toEqual([
    'delta-dit, 6 blocks',
    'delta-dit, 4 blocks',
    ...['delta-cache-front', 'delta-cache-middle', 'delta-cache-rear', 'feature-cache-front', 'feature-cache-rear'],
    '3 steps',
  ]);
  const ratios = methods.slice(0, 2).map(({ cache }) => (4 * 28) / countBlocks(staticPlan(cache!, setting)).computed);
  expect(ratios.map((ratio) => ratio.toFixed(2))).toEqual(['1.12', '1.08']); // 8.565 ÷ 7.647 and ÷ 7.953 TMACs
  const reused = (name: string) => reuseOf(staticPlan(methods.find((one) => one.name === name)!.cache!, setting));
  expect(reused('delta-dit, 6 blocks')).toEqual(['full', '22+6', 'full', '0+6']); // b = 2
  expect(reused('delta-dit, 4 blocks')).toEqual(['full', '24+4', 'full', '0+4']);
});

it('has one Δ-DiT where the two would be the same or nothing', () => {
  const names = (numInferenceSteps: number, depth: number) =>
    paperMethods(planSetting(numInferenceSteps, depth)).map(({ name }) => name);
  expect(names(4, 3)[0]).toBe('delta-dit');
  expect(names(9, 28)[0]).toBe('delta-dit');
  expect(names(8, 28)[1]).toBe('delta-dit, 4 blocks');
});
