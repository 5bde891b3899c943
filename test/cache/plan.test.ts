import { type CachePlan, checkPlan, drawPlan, touchedSites, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { MODEL_SITE, type Site, spanSite } from '../../src/cache/site.ts';
import { OptionError } from '../../src/errors.ts';
import { planSetting, reuseOf } from '../support/plans.ts';

describe('drawPlan', () => {
  it('draws one line a step: computed, recorded, skipped', () => {
    const plan = deltaDiT({ interval: 3, stageBound: 2, cachedBlocks: 2 }).plan(planSetting(8, 4));
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
    const lines = drawPlan(uncachedPlan(planSetting(11, 2))).split('\n');
    expect([lines[0], lines[9], lines[10]]).toEqual([' 0 ## full', ' 9 ## full', '10 ## full']);
  });
});

describe('uncachedPlan', () => {
  it('is full at every step', () => {
    const plan = uncachedPlan(planSetting(3, 2));
    expect(reuseOf(plan)).toEqual(['full', 'full', 'full']);
    expect(plan.depth).toBe(2);
  });
});

describe('touchedSites', () => {
  it('says how often a site is recorded before it is reused', () => {
    const [a, b]: Site[] = [spanSite({ first: 0, count: 1 }), spanSite({ first: 1, count: 1 })];
    const at = (step: number, record: readonly Site[], reuse: readonly Site[]) => ({
      step,
      record,
      reuse,
      rows: 'both' as const,
    });
    const plan: CachePlan = {
      ...uncachedPlan(planSetting(5, 2)),
      steps: [at(0, [a!, b!], []), at(1, [a!], []), at(2, [], [a!]), at(3, [], [a!]), at(4, [b!], [])],
    };
    const needed = touchedSites(plan).map((sites) => sites.map(({ recordsBeforeReuse: records }) => records));
    expect(needed).toEqual([
      [1, Number.POSITIVE_INFINITY],
      [0],
      [0],
      [Number.POSITIVE_INFINITY],
      [Number.POSITIVE_INFINITY],
    ]);
    expect(touchedSites(plan)[0]!.map(({ site }) => site)).toEqual([a, b]);
  });
});

describe('checkPlan', () => {
  const setting = planSetting(2, 4);
  const planWith = (span: { first: number; count: number }): CachePlan => ({
    ...uncachedPlan(setting),
    steps: [
      { step: 0, record: [spanSite(span)], reuse: [], rows: 'both' },
      { step: 1, record: [], reuse: [spanSite(span)], rows: 'both' },
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

  const planThatReuses = (reuse: readonly Site[], keeps: CachePlan['keeps'] = 'output'): CachePlan => ({
    ...uncachedPlan(setting),
    keeps,
    steps: [
      { step: 0, record: reuse, reuse: [], rows: 'both' },
      { step: 1, record: [], reuse, rows: 'both' },
    ],
  });
  const mlp = (block: number): Site => ({ kind: 'branch', block, branch: 'mlp' });
  const span: Site = { kind: 'span', first: 1, count: 2 };

  it.each<[string, readonly Site[]]>([
    ['a branch inside a span', [span, mlp(2)]],
    ['a span inside the model', [span, MODEL_SITE]],
    ['a branch twice', [mlp(1), mlp(1)]],
    ['spans that overlap', [span, { kind: 'span', first: 2, count: 2 }]],
  ])('refuses to reuse %s', (_, reuse) => {
    expect(() => checkPlan(planThatReuses(reuse), setting)).toThrow(/names another site inside it/);
  });

  it('takes sites side by side', () => {
    for (const reuse of [[span, mlp(0)], [mlp(1), mlp(2)], [span, { kind: 'span', first: 3, count: 1 }] as Site[]])
      expect(checkPlan(planThatReuses(reuse), setting).steps[1]!.reuse).toEqual(reuse);
  });

  it('refuses branches that the model lacks, and what cannot be kept of a site', () => {
    const cross: Site = { kind: 'branch', block: 0, branch: 'cross' };
    expect(() => checkPlan(planThatReuses([cross]), setting)).toThrow(/block 0's cross/);
    expect(() => checkPlan(planThatReuses([mlp(0)], 'delta'), setting)).toThrow(OptionError);
    expect(() => checkPlan(planThatReuses([span], 'x0'), setting)).toThrow(OptionError);
    expect(checkPlan(planThatReuses([MODEL_SITE], 'x0'), setting).keeps).toBe('x0');
  });
});
