import { countBlocks } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { defaultCachedBlocks, defaultStageBound, planDeltaDiT } from '../../src/cache/stage-planner.ts';
import { planSetting, recordsOf, reuseOf } from '../support/plans.ts';

const PAPER = planSetting(20, 28);

describe("the paper's setting: T = 20, N = 2, b = 12, 21 of 28 blocks", () => {
  const plan = deltaDiT({ interval: 2, stageBound: 12, cachedBlocks: 21 }).plan(PAPER);

  it('is full at 0, 2, …, 18, reuses the rear at 1 to 11 and the front at 13 to 19', () => {
    const rear = '7+21';
    const front = '0+21';
    expect(reuseOf(plan)).toEqual(
      Array.from({ length: 20 }, (_, step) => (step % 2 === 0 ? 'full' : step < 12 ? rear : front)),
    );
    expect(plan.steps.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, step) => step));
    expect(plan.keeps).toBe('delta');
  });

  it('records at each full step the one span that the next step reuses, and nothing at a cached step', () => {
    const reuse = reuseOf(plan);
    expect(recordsOf(plan)).toEqual(reuse.map((_, step) => (step % 2 === 0 ? reuse[step + 1] : '')));
  });

  it('is what the defaults give', () => {
    expect(deltaDiT().plan(PAPER)).toEqual(plan);
  });
});

describe('defaults', () => {
  it.each([
    [20, 12],
    [4, 2],
    [50, 30],
    [10, 6],
    [1, 0],
    [2, 2],
  ])('b at T = %d is %d', (steps, bound) => {
    expect(defaultStageBound(steps)).toBe(bound);
  });

  it('b never exceeds T', () => {
    for (let steps = 1; steps <= 1000; steps++) expect(defaultStageBound(steps)).toBeLessThanOrEqual(steps);
  });

  it.each([
    [20, 28, 21],
    [4, 28, 6],
    [8, 28, 6],
    [9, 28, 21],
    [20, 12, 9],
    [20, 24, 18],
    [4, 12, 3],
    [20, 3, 2],
    [4, 3, 1],
  ])('N_c at T = %d, depth %d is %d', (steps, depth, blocks) => {
    expect(defaultCachedBlocks(steps, depth)).toBe(blocks);
  });

  it('fit each other at every number of steps, so that no default is refused', () => {
    for (let steps = 1; steps <= 1000; steps++) {
      for (const depth of [1, 3, 28]) expect(() => deltaDiT().plan(planSetting(steps, depth))).not.toThrow();
    }
  });
});

describe('what the paper leaves open', () => {
  it('left-over steps come last and are full, and record nothing', () => {
    const plan = deltaDiT({ interval: 3, stageBound: 2, cachedBlocks: 2 }).plan(planSetting(8, 3));
    expect(reuseOf(plan)).toEqual(['full', '1+2', '0+2', 'full', '0+2', '0+2', 'full', 'full']);
    expect(recordsOf(plan)).toEqual(['1+2 0+2', '', '', '0+2', '', '', '', '']);
  });

  it('a group that straddles b records both spans at its full step, without a forced refresh', () => {
    const plan = deltaDiT({ interval: 4, stageBound: 6, cachedBlocks: 2 }).plan(planSetting(8, 5));
    expect(reuseOf(plan)).toEqual(['full', '3+2', '3+2', '3+2', 'full', '3+2', '0+2', '0+2']);
    expect(recordsOf(plan)).toEqual(['3+2', '', '', '', '3+2 0+2', '', '', '']);
  });

  it('the offsets of both spans can be set', () => {
    const plan = deltaDiT({ cachedBlocks: 21, frontOffset: 1, rearOffset: 6 }).plan(PAPER);
    expect(new Set(reuseOf(plan))).toEqual(new Set(['full', '6+21', '1+21']));
  });

  it('evaluates both guidance halves at every step', () => {
    expect(
      new Set(
        deltaDiT()
          .plan(PAPER)
          .steps.map(({ rows }) => rows),
      ),
    ).toEqual(new Set(['both']));
  });
});

describe('plans that cache nothing', () => {
  it.each([
    ['interval 1', { interval: 1 }],
    ['no cached blocks', { cachedBlocks: 0 }],
  ])('%s: every step is full, nothing is recorded', (_, options) => {
    const plan = deltaDiT(options).plan(PAPER);
    expect(new Set(reuseOf(plan))).toEqual(new Set(['full']));
    expect(new Set(recordsOf(plan))).toEqual(new Set(['']));
    expect(countBlocks(plan)).toEqual({ computed: 560, reused: 0 });
  });
});

describe('planDeltaDiT', () => {
  it('counts the stage bound from noise: 0 is front-only, T is rear-only', () => {
    const stages = { ...PAPER, interval: 2, cachedBlocks: 21, frontOffset: 0, rearOffset: 7 };
    expect(new Set(reuseOf(planDeltaDiT({ ...stages, stageBound: 0 })))).toEqual(new Set(['full', '0+21']));
    expect(new Set(reuseOf(planDeltaDiT({ ...stages, stageBound: 20 })))).toEqual(new Set(['full', '7+21']));
  });
});
