import { type CachePlan, checkPlan, drawPlan, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { OptionError } from '../../src/errors.ts';
import { reuseOf } from '../support/plans.ts';

describe('drawPlan', () => {
  it('draws one line a step: computed, recorded, skipped', () => {
    const plan = deltaDiT({ interval: 3, stageBound: 2, cachedBlocks: 2 }).plan({ numInferenceSteps: 8, depth: 4 });
    expect(drawPlan(plan).split('\n')).toEqual([
      '0 ++++ full',
      '1 ##.. cached',
      '2 ..## cached',
      '3 ++## full',
      '4 ..## cached',
      '5 ..## cached',
      '6 #### full',
      '7 #### full',
    ]);
  });

  it('aligns step numbers', () => {
    const lines = drawPlan(uncachedPlan({ numInferenceSteps: 11, depth: 2 })).split('\n');
    expect([lines[0], lines[9], lines[10]]).toEqual([' 0 ## full', ' 9 ## full', '10 ## full']);
  });
});

describe('uncachedPlan', () => {
  it('is full at every step', () => {
    const plan = uncachedPlan({ numInferenceSteps: 3, depth: 2 });
    expect(reuseOf(plan)).toEqual(['full', 'full', 'full']);
    expect(plan.depth).toBe(2);
  });
});

describe('checkPlan', () => {
  const setting = { numInferenceSteps: 2, depth: 4 };
  const planWith = (span: { first: number; count: number }): CachePlan => ({
    depth: 4,
    keeps: 'delta',
    steps: [
      { step: 0, record: [span], reuse: null, rows: 'both' },
      { step: 1, record: [], reuse: span, rows: 'both' },
    ],
  });

  it('gives back a plan that fits', () => {
    const plan = planWith({ first: 1, count: 3 });
    expect(checkPlan(plan, setting)).toBe(plan);
  });

  it('refuses another length or depth, and spans that leave the model', () => {
    const plan = planWith({ first: 0, count: 2 });
    expect(() => checkPlan(plan, { ...setting, numInferenceSteps: 3 })).toThrow(
      /expected 3 steps of 4 blocks, got 2 of 4/,
    );
    expect(() => checkPlan(plan, { ...setting, depth: 5 })).toThrow(OptionError);
    expect(() => checkPlan(planWith({ first: 2, count: 3 }), setting)).toThrow(/step 0 names blocks 2\+3 of 4/);
    expect(() => checkPlan(planWith({ first: 1, count: 0 }), setting)).toThrow(OptionError);
  });
});
