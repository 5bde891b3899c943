import { countBlocks } from '../../src/cache/plan.ts';
import { paperMethods } from '../../src/lab/bench-methods.ts';

it("are the paper's for its setting, all of one cost, between 12 and 13 uncached steps", () => {
  const setting = { numInferenceSteps: 20, depth: 28 };
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
  expect(cached.map((cache) => countBlocks(cache.plan(setting)).computed)).toEqual(Array(6).fill(350)); // of 560
});

it('takes one number of steps where the cost is a whole one', () => {
  // 16 · (1 − ½ · ¾)
  const methods = paperMethods({ numInferenceSteps: 16, depth: 28 });
  expect(methods.filter(({ cache }) => !cache).map(({ numInferenceSteps }) => numInferenceSteps)).toEqual([10]);
});

it('has no fewer steps that are none fewer', () => {
  const steps = (numInferenceSteps: number) =>
    paperMethods({ numInferenceSteps, depth: 28 })
      .filter(({ cache }) => !cache)
      .map((one) => one.numInferenceSteps);
  expect(steps(4)).toEqual([3]); // 4 · (1 − ½ · 6/28) = 3.57: 4 steps are the uncached run itself
  expect(steps(1)).toEqual([]);
});
