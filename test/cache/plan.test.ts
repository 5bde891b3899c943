import { drawPlan, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
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
