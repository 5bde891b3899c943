import { stagesOfBudget } from '../../src/cache/budget.ts';
import { countBlocks } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { OptionError } from '../../src/errors.ts';
import { planSetting } from '../support/plans.ts';

/** The paper's budgets: MACs of its Tables 2 and 3 over those of the uncached runs, in T. */
const PAPER = [
  { name: 'PixArt-α, 1.60×', T: 20, budget: 53.532 / 85.651, cachedBlocks: 21 },
  { name: 'DiT-XL/2, 1.60×', T: 20, budget: 2.862 / 4.579, cachedBlocks: 21 },
  { name: 'PixArt-α-LCM, 1.08×', T: 4, budget: 7.953 / 8.565, cachedBlocks: 4 },
  { name: 'PixArt-α-LCM, 1.12×', T: 4, budget: 7.647 / 8.565, cachedBlocks: 6 },
];

describe('stagesOfBudget', () => {
  it.each(PAPER)("gives the paper's N = 2 and N_c = $cachedBlocks: $name", ({ T, budget, cachedBlocks }) => {
    expect(stagesOfBudget(budget, planSetting(T, 28))).toEqual({ interval: 2, cachedBlocks });
  });

  it('takes a plain ratio', () => {
    expect(stagesOfBudget(0.625, planSetting(20, 28))).toEqual({ interval: 2, cachedBlocks: 21 });
    expect(stagesOfBudget(1, planSetting(20, 28))).toEqual({ interval: 1, cachedBlocks: 0 });
    expect(stagesOfBudget(0.5, planSetting(20, 28))).toEqual({ interval: 2, cachedBlocks: 28 });
    // two of 20 steps are left over and full: 18 steps share the rest
    expect(stagesOfBudget(0.4, planSetting(20, 28))).toEqual({ interval: 3, cachedBlocks: 28 });
  });

  it('takes the next interval where left-over full steps break the budget', () => {
    // N = 3 leaves 2 of 20 steps full: 8 full ones cost 0.4 alone
    expect(stagesOfBudget(1 / 3, planSetting(20, 28))).toEqual({ interval: 4, cachedBlocks: 25 });
  });

  it('keeps the budget within half a block a cached step, and so does the plan', () => {
    for (const T of [1, 2, 3, 4, 7, 13, 20, 50, 250]) {
      for (const depth of [1, 3, 12, 28]) {
        for (const budget of [1 / T, 0.3, 1 / 3, 0.5, 0.625, 0.77, 0.9, 0.999, 1].filter((ratio) => ratio >= 1 / T)) {
          const setting = planSetting(T, depth);
          const { interval } = stagesOfBudget(budget, setting);
          const cached = Math.floor(T / interval) * (interval - 1);
          const { computed } = countBlocks(deltaDiT({ budget }).plan(setting));
          expect(computed).toBeLessThanOrEqual(budget * T * depth + cached / 2 + 1e-6);
        }
      }
    }
  });

  it('gives less for less', () => {
    const cost = (budget: number) => countBlocks(deltaDiT({ budget }).plan(planSetting(20, 28))).computed / (20 * 28);
    expect([0.9, 0.75, 0.625, 0.5, 0.25, 0.05].map((budget) => Number(cost(budget).toFixed(3)))).toEqual([
      0.893, 0.75, 0.625, 0.5, 0.25, 0.05,
    ]);
  });

  it.each([
    [
      0.04,
      20,
      'budget: 20 steps cannot cost less than 0.05 of the uncached MACs, one full step; got 0.04; raise the budget or take more steps',
    ],
    [
      0.3,
      3,
      'budget: 3 steps cannot cost less than 0.3333 of the uncached MACs, one full step; got 0.3; raise the budget or take more steps',
    ],
    [
      0.9,
      1,
      'budget: 1 steps cannot cost less than 1 of the uncached MACs, one full step; got 0.9; raise the budget or take more steps',
    ],
    [0, 20, 'budget: expected a part of the uncached MACs, above 0 and at most 1, got 0'],
    [1.6, 20, 'budget: expected a part of the uncached MACs, above 0 and at most 1, got 1.6'],
    [Number.NaN, 20, 'budget: expected a part of the uncached MACs, above 0 and at most 1, got NaN'],
  ])('refuses %d at %d steps', (budget, numInferenceSteps, message) => {
    expect(() => deltaDiT({ budget }).plan(planSetting(numInferenceSteps, 28))).toThrow(new OptionError(message));
  });
});

describe('deltaDiT with a budget', () => {
  it('is the plan of the interval and the blocks that it gives', () => {
    const setting = planSetting(20, 28);
    expect(deltaDiT({ budget: 0.625 }).plan(setting)).toEqual(
      deltaDiT({ interval: 2, cachedBlocks: 21 }).plan(setting),
    );
    expect(deltaDiT({ budget: 0.625, stageBound: 0, frontOffset: 1 }).plan(setting)).toEqual(
      deltaDiT({ cachedBlocks: 21, stageBound: 0, frontOffset: 1 }).plan(setting),
    );
  });

  it.each([{ interval: 2 }, { cachedBlocks: 21 }, { interval: 2, cachedBlocks: 21 }])('refuses it with %j', (both) => {
    expect(() => deltaDiT({ budget: 0.625, ...both })).toThrow(
      new OptionError('budget: gives interval and cachedBlocks; expected it or them, got both'),
    );
  });
});
