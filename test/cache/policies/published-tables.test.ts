import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkPlan, countBlocks } from '../../../src/cache/plan.ts';
import { ecad, isEcadSchedule, parseEcadSchedule } from '../../../src/cache/policies/ecad.ts';
import { harmoniCa, learningToCache } from '../../../src/cache/policies/learning-to-cache.ts';
import {
  isSmoothCacheSchedule,
  parseSmoothCacheSchedule,
  type SmoothCacheSchedule,
  smoothCache,
} from '../../../src/cache/policies/smooth-cache.ts';
import { FormatError, OptionError } from '../../../src/errors.ts';
import { planSetting } from '../../support/plans.ts';
import { branch, drawSite, SCHEDULES } from '../../support/schedules.ts';

const tableOf = (drawn: Readonly<Record<string, string>>): SmoothCacheSchedule =>
  Object.fromEntries(Object.entries(drawn).map(([key, steps]) => [key, [...steps].map((c) => (c === '#' ? 1 : 0))]));

describe('schedules of SmoothCache', () => {
  it.each(Object.entries(SCHEDULES.smoothcache.published))(
    '%s runs as its authors run it',
    (_, { table, computed }) => {
      const setting = planSetting(50, 28);
      const plan = checkPlan(smoothCache(tableOf(table)).plan(setting), setting);
      for (let block = 0; block < 28; block++) {
        expect(drawSite(plan, branch(block, 'self'))).toBe(computed.attn[block]);
        expect(drawSite(plan, branch(block, 'mlp'))).toBe(computed.mlp[block]);
      }
    },
  );

  it.each([
    ['50-N-3-threshold-0.18', 24],
    ['50-N-3-threshold-0.08', 46],
  ])('%s computes %d of 50 steps, as published', (name, full) => {
    const plan = smoothCache(tableOf(SCHEDULES.smoothcache.published[name]!.table)).plan(planSetting(50, 28));
    expect(countBlocks(plan).computed).toBe(28 * full);
  });

  it('is told from other JSON, and checked', () => {
    expect(isSmoothCacheSchedule({ attn1: [1, 0], 'ff-3': [1, 1] })).toBe(true);
    expect(isSmoothCacheSchedule({ format: 'delta-dit-cache' })).toBe(false);
    expect(isSmoothCacheSchedule({})).toBe(false);
    expect(parseSmoothCacheSchedule('s.json', { mlp: [1, 0] })).toEqual({ mlp: [1, 0] });
    for (const wrong of [{ mlp: [1, 2] }, { mlp: [] }, { 'mlp-x': [1] }])
      expect(() => parseSmoothCacheSchedule('s.json', wrong)).toThrow(FormatError);
  });

  it('reads the names of diffusers: attn2 is the cross-attention, ff the MLP', () => {
    const setting = planSetting(3, 2, ['self', 'cross', 'mlp']);
    const plan = smoothCache({ attn2: [1, 0, 1], 'ff-1': [1, 1, 0], ff: [1, 0, 0] }).plan(setting);
    expect(drawSite(plan, branch(0, 'self'))).toBe('###');
    expect(drawSite(plan, branch(0, 'cross'))).toBe('#.#');
    expect(drawSite(plan, branch(0, 'mlp'))).toBe('#..');
    expect(drawSite(plan, branch(1, 'mlp'))).toBe('##.');
  });

  it.each<[SmoothCacheSchedule, RegExp]>([
    [{ mlp: [1, 0] }, /mlp has 2 steps, this run 3/],
    [{ attn2: [1, 0, 1] }, /attn2 is nothing of this model, which has self, mlp in 2 blocks/],
    [{ 'mlp-2': [1, 0, 1] }, /mlp-2 is nothing of this model/],
  ])('refuses another run: %#', (table, message) => {
    expect(() => smoothCache(table).plan(planSetting(3, 2))).toThrow(OptionError);
    expect(() => smoothCache(table).plan(planSetting(3, 2))).toThrow(message);
  });
});

describe('routers of Learning-to-Cache', () => {
  const { depth, steps, threshold, scores, computed } = SCHEDULES.learningToCache;
  const setting = planSetting(steps, depth);

  it('compute what the authors do', () => {
    const plan = checkPlan(learningToCache(scores, { threshold }).plan(setting), setting);
    for (let block = 0; block < depth; block++) {
      expect(drawSite(plan, branch(block, 'self'))).toBe(computed.attn[block]);
      expect(drawSite(plan, branch(block, 'mlp'))).toBe(computed.mlp[block]);
    }
  });

  it('hold more at a higher threshold, and nothing at 0', () => {
    const reused = (θ: number) => countBlocks(learningToCache(scores, { threshold: θ }).plan(setting)).reused;
    expect(reused(0)).toBe(0);
    expect(reused(1)).toBe((steps / 2 - (steps % 2)) * depth);
    expect(reused(0.1)).toBeLessThan(reused(0.4));
  });

  it('refuse another model or number of steps', () => {
    for (const other of [
      planSetting(steps, 4),
      planSetting(steps + 1, depth),
      planSetting(steps, 2, ['self', 'cross', 'mlp']),
    ])
      expect(() => learningToCache(scores).plan(other)).toThrow(/a router of 10 steps and 6 sites; this run has/);
  });
});

describe('routers of HarmoniCa', () => {
  const setting = planSetting(4, 2);
  const [low, high] = [-9, 9];
  // the first row is of the last step
  const scores = [
    [low, low, high, high],
    [low, high, high, high],
    [high, high, low, high],
    [low, low, low, low],
  ];

  it('are followed at every step but the first', () => {
    const plan = checkPlan(harmoniCa(scores).plan(setting), setting);
    const drawn = [0, 1].flatMap((block) => [
      drawSite(plan, branch(block, 'self')),
      drawSite(plan, branch(block, 'mlp')),
    ]);
    expect(drawn).toEqual(['##..', '###.', '#.##', '####']);
    expect(harmoniCa(scores).name).toBe('harmonica');
    expect(() => harmoniCa(scores).plan(planSetting(5, 2))).toThrow(
      /^cache harmonica: a router of 4 steps and 4 sites/,
    );
  });
});

describe('schedules of ECAD', () => {
  type Drawn = Readonly<Record<'attn1' | 'attn2' | 'ff', readonly string[]>>;
  const published: Readonly<Record<string, Drawn>> = JSON.parse(
    readFileSync(join(__dirname, '../../fixtures/ecad.json'), 'utf8'),
  );
  /** As `CacheSchedule.to_json` writes it. */
  const written = ({ attn1, attn2, ff }: Drawn, steps = 20) => ({
    cache_schedule: {
      ...{ num_blocks: attn1.length, num_inference_steps: steps, name: 'a', attributes: {} },
      schedule: Object.fromEntries(
        Array.from({ length: steps }, (_, step) => [
          String(step).padStart(3, '0'),
          Object.fromEntries(
            attn1.map((_, block) => {
              const isComputed = (drawn: readonly string[]) => drawn[block]![step] === '#';
              return [block, { attn1: isComputed(attn1), attn2: isComputed(attn2), ff: isComputed(ff) }];
            }),
          ),
        ]),
      ),
    },
    ...{ config: {}, metrics: {} },
  });
  const setting = { ...planSetting(20, 28), branches: ['self', 'cross', 'mlp'] as const };

  it.each([
    ['ours_fast', 598],
    ['ours_faster', 405],
    ['ours_fastest', 324],
  ])('%s computes what it says, and all of step 0', (name, count) => {
    const drawn = published[name]!;
    const sites = [drawn.attn1, drawn.attn2, drawn.ff].flat();
    expect(sites.join('').replaceAll('.', '')).toHaveLength(count);
    const plan = checkPlan(ecad(parseEcadSchedule('file', written(drawn))).plan(setting), setting);
    for (let block = 0; block < 28; block++) {
      const run = (['self', 'cross', 'mlp'] as const).map((one) => drawSite(plan, branch(block, one)));
      expect(run).toEqual([drawn.attn1, drawn.attn2, drawn.ff].map((of) => `#${of[block]!.slice(1)}`));
    }
  });

  it('are told from other JSON, checked, and of a PixArt of their size', () => {
    const json = written(published.ours_fast!);
    expect([isEcadSchedule(json), isEcadSchedule({ attn: [1] })]).toEqual([true, false]);
    const schedule = ecad(parseEcadSchedule('file', json));
    expect(schedule.madeFor).toEqual({ numInferenceSteps: 20 });
    for (const other of [planSetting(20, 28), { ...setting, depth: 27 }, { ...setting, numInferenceSteps: 19 }])
      expect(() => schedule.plan(other)).toThrow(OptionError);
    const { '007': _, ...rest } = json.cache_schedule.schedule;
    const without = { cache_schedule: { ...json.cache_schedule, schedule: rest } };
    expect(() => parseEcadSchedule('file', without)).toThrow(/file: says nothing of block 0 at step 7/);
    expect(() => parseEcadSchedule('file', { cache_schedule: { num_blocks: 2 } })).toThrow(FormatError);
  });
});
