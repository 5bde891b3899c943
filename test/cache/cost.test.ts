import { planCost } from '../../src/cache/cost.ts';
import { type CachePolicy, countBlocks, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';

// blockLinear and blockAttention of no model, so that a mix-up shows
const BLOCK = { blockLinear: 1000, blockAttention: 7 };
const ratio = (policy: CachePolicy, numInferenceSteps: number) =>
  planCost(policy.plan({ numInferenceSteps, depth: 28 }), BLOCK).macsRatio;

describe("MACs ratios of the paper's rows, exactly", () => {
  it.each([
    ['Δ-DiT, T = 20, 21 of 28: 0.625', deltaDiT({ stageBound: 12, cachedBlocks: 21 }), 20, 560 / 350],
    ['Δ-Cache front, T = 20: 0.625', deltaCache({ region: 'front', cachedBlocks: 21 }), 20, 1.6],
    ['14 of 28: 0.75', deltaDiT({ cachedBlocks: 14 }), 20, 1 / 0.75],
    ['T = 4, 4 of 28: 0.92857', deltaDiT({ stageBound: 2, cachedBlocks: 4 }), 4, 28 / 26],
    ['T = 4, 6 of 28: 0.89286', deltaDiT({ stageBound: 2, cachedBlocks: 6 }), 4, 28 / 25],
    ['N = 3, all blocks, one step left over', deltaDiT({ interval: 3, cachedBlocks: 28 }), 19, 19 / 7],
  ])('%s', (_, policy, steps, want) => {
    expect(ratio(policy, steps)).toBe(want);
  });

  it('prints as the paper does: 1.60, 1.08, 1.12', () => {
    expect(ratio(deltaDiT(), 20)).toBe(1.6);
    expect(ratio(deltaDiT({ cachedBlocks: 4 }), 4).toFixed(2)).toBe('1.08');
    expect(ratio(deltaDiT(), 4).toFixed(2)).toBe('1.12');
  });
});

describe('planCost', () => {
  it('counts the blocks that are computed, without and with attention products', () => {
    const plan = deltaDiT({ cachedBlocks: 21 }).plan({ numInferenceSteps: 20, depth: 28 });
    expect(countBlocks(plan)).toEqual({ computed: 350, reused: 210 });
    expect(planCost(plan, BLOCK)).toEqual({ linear: 350_000, withAttention: 350_000 + 350 * 7, macsRatio: 1.6 });
  });

  it('of an uncached plan is the whole', () => {
    const plan = uncachedPlan({ numInferenceSteps: 5, depth: 3 });
    expect(planCost(plan, BLOCK)).toEqual({ linear: 15_000, withAttention: 15_105, macsRatio: 1 });
  });
});
