import { planCells } from '../../src/cache/plan.ts';
import { type CachePolicy, isStatic } from '../../src/cache/policy.ts';
import { cachePolicy } from '../../src/cli/cache-options.ts';
import { CACHE_METHODS, type CacheChoice } from '../../src/web/cache-methods.ts';
import { decidedColumn, optionPairs, policyOf } from '../../src/web/cache-policies.ts';

const SETTING = {
  numInferenceSteps: 20,
  depth: 28,
  branches: ['self', 'mlp'] as const,
  timesteps: Array.from({ length: 20 }, (_, step) => 950 - step * 50),
};
const planOf = (policy: CachePolicy) => (isStatic(policy) ? policy.plan(SETTING) : policy.begin(SETTING));

describe.each(CACHE_METHODS)('$name', ({ name: method, options }) => {
  const entered: CacheChoice['options'] = Object.fromEntries(options.map(({ name, min }) => [name, min + 1]));

  it.each([{}, entered])('is what the command line makes of its name and options: %j', async (given) => {
    const choice: CacheChoice = { method, options: given };
    const [ours, theirs] = [policyOf(choice), await cachePolicy(method, optionPairs(choice))];
    expect(ours.name).toBe(theirs?.name);
    expect(theirs && planOf(theirs)).toEqual(planOf(ours));
  });

  it('takes what the page says that it takes otherwise', () => {
    const said = options.flatMap(({ name, otherwise }) =>
      otherwise === undefined ? [] : [[name, otherwise] as const],
    );
    const told = policyOf({ method, options: Object.fromEntries(said) });
    expect(planOf(told)).toEqual(planOf(policyOf({ method, options: {} })));
  });
});

describe('decidedColumn', () => {
  it('knows full steps, held ones, and steps that rows took differently', () => {
    expect(decidedColumn('teacache', 3, 3)).toEqual(['recorded', 'recorded', 'recorded']);
    expect(decidedColumn('teacache', 0, 3)).toEqual(['reused', 'reused', 'reused']);
    expect(decidedColumn('first-block-cache', 1, 3)).toEqual(['computed', 'reused', 'reused']);
    expect(decidedColumn('first-block-cache', 2, 3)).toEqual(['computed', 'partly', 'partly']);
    expect(decidedColumn('first-block-cache', 3, 3)).toEqual(['computed', 'recorded', 'recorded']);
  });
});

describe('planCells', () => {
  it('of Δ-DiT: the rear is held first, the front later', () => {
    const policy = policyOf({ method: 'delta-dit', options: { interval: 2, cachedBlocks: 2, stageBound: 2 } });
    if (!isStatic(policy)) throw new TypeError('Δ-DiT plans ahead');
    const cells = planCells(policy.plan({ ...SETTING, numInferenceSteps: 4, depth: 3 }));
    expect(cells).toEqual([
      ['computed', 'recorded', 'recorded'],
      ['computed', 'reused', 'reused'],
      ['recorded', 'recorded', 'computed'],
      ['reused', 'reused', 'computed'],
    ]);
  });
});
