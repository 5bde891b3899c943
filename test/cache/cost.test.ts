import { planCost } from '../../src/cache/cost.ts';
import { type CachePlan, countBlocks, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import type { StaticPolicy } from '../../src/cache/policy.ts';
import { MODEL_SITE, type Site } from '../../src/cache/site.ts';
import { planSetting } from '../support/plans.ts';

// blockLinear and blockAttention of no model, so that a mix-up shows
const BLOCK = {
  blockLinear: 1000,
  blockAttention: 7,
  branches: { self: { linear: 300, attention: 7 }, mlp: { linear: 600, attention: 0 } },
};
const ratio = (policy: StaticPolicy, numInferenceSteps: number) =>
  planCost(policy.plan(planSetting(numInferenceSteps, 28)), BLOCK).macsRatio;

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
    const plan = deltaDiT({ cachedBlocks: 21 }).plan(planSetting(20, 28));
    expect(countBlocks(plan)).toEqual({ computed: 350, reused: 210 });
    expect(planCost(plan, BLOCK)).toEqual({ linear: 350_000, withAttention: 350_000 + 350 * 7, macsRatio: 1.6 });
  });

  it('takes off the branches that are reused, and leaves the modulation of their blocks', () => {
    const reuse: Site[] = [
      { kind: 'branch', block: 0, branch: 'self' },
      { kind: 'branch', block: 1, branch: 'self' },
      { kind: 'branch', block: 1, branch: 'mlp' },
    ];
    const plan: CachePlan = {
      ...uncachedPlan(planSetting(2, 3)),
      keeps: 'output',
      steps: [
        { step: 0, record: reuse, reuse: [], rows: 'both' },
        { step: 1, record: [], reuse, rows: 'both' },
      ],
    };
    expect(planCost(plan, BLOCK)).toEqual({ linear: 4800, withAttention: 4828, macsRatio: 6000 / 4800 });
    expect(countBlocks(plan)).toEqual({ computed: 4.5, reused: 1.5 });
    expect(() => planCost(plan, { ...BLOCK, branches: {} })).toThrow(/this model has no branch self/);
  });

  it('counts nothing at a step that skips the whole model', () => {
    const steps = uncachedPlan(planSetting(2, 3)).steps.map((step, i) =>
      i === 1 ? { ...step, reuse: [MODEL_SITE] } : step,
    );
    const plan: CachePlan = { ...uncachedPlan(planSetting(2, 3)), steps };
    expect(planCost(plan, BLOCK)).toEqual({ linear: 3000, withAttention: 3021, macsRatio: 2 });
    expect(countBlocks(plan)).toEqual({ computed: 3, reused: 3 });
  });

  it('of an uncached plan is the whole', () => {
    const plan = uncachedPlan(planSetting(5, 3));
    expect(planCost(plan, BLOCK)).toEqual({ linear: 15_000, withAttention: 15_105, macsRatio: 1 });
  });
});
