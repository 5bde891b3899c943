import { checkPlan, countBlocks } from '../../../src/cache/plan.ts';
import { fasterDiffusion } from '../../../src/cache/policies/faster-diffusion.ts';
import { fora } from '../../../src/cache/policies/fora.ts';
import { pyramidAttentionBroadcast } from '../../../src/cache/policies/pyramid-attention-broadcast.ts';
import { taylorSeer } from '../../../src/cache/policies/taylor-seer.ts';
import type { StaticPolicy } from '../../../src/cache/policy.ts';
import { spanSite } from '../../../src/cache/site.ts';
import { OptionError } from '../../../src/errors.ts';
import { planSetting } from '../../support/plans.ts';
import { branch, drawSite, expectAllBranches, SCHEDULES } from '../../support/schedules.ts';

const PIXART = ['self', 'cross', 'mlp'] as const;
const settingOf = (key: string) => {
  const [steps = '', option = ''] = key.split('/');
  return { setting: planSetting(Number(steps), 4, PIXART), option };
};

describe.each([
  ['FORA', SCHEDULES.fora, (interval: number) => fora({ interval })],
  ['TaylorSeer', SCHEDULES.taylorseer, (interval: number) => taylorSeer({ interval })],
] as const)('%s', (_, schedules, policy) => {
  it.each(Object.entries(schedules))('computes at %s what the authors do', (key, schedule) => {
    const { setting, option } = settingOf(key);
    expectAllBranches(checkPlan(policy(Number(option)).plan(setting), setting), schedule);
  });

  it.each([
    [2, 26],
    [3, 18],
    [4, 14],
    [5, 11],
  ])('at N = %d computes %d of 50 steps, as published', (interval, full) => {
    expect(countBlocks(policy(interval).plan(planSetting(50, 28))).computed).toBe(28 * full);
  });
});

describe('FORA', () => {
  it('holds, or predicts as it is told, recording no more than that needs', () => {
    const setting = planSetting(10, 1);
    const records = (policy: StaticPolicy) => policy.plan(setting).steps.map(({ record }) => record.length);
    expect(fora().plan(setting).predictor).toEqual({ name: 'hold' });
    expect(records(fora())).toEqual([2, 0, 0, 2, 0, 0, 2, 0, 0, 0]);
    expect(records(fora({ interval: 4 }))).toEqual([0, 2, 0, 0, 0, 2, 0, 0, 0, 0]);
    const linear = fora({ interval: 4, predictor: { name: 'taylor', order: 1 } });
    expect(records(linear)).toEqual([2, 2, 0, 0, 0, 2, 0, 0, 0, 0]);
  });
});

describe('TaylorSeer', () => {
  it('predicts by the order that is asked for, 4 as the authors do, or another predictor', () => {
    const setting = planSetting(10, 1);
    expect(taylorSeer().plan(setting).predictor).toEqual({ name: 'taylor', order: 4 });
    expect(taylorSeer({ order: 2 }).plan(setting).predictor).toEqual({ name: 'taylor', order: 2 });
    expect(taylorSeer({ predictor: { name: 'foca' } }).plan(setting).predictor).toEqual({ name: 'foca' });
  });

  it('records both steps of the warm-up, which a held plan would not', () => {
    const setting = planSetting(6, 1);
    const records = (policy: StaticPolicy) => policy.plan(setting).steps.map(({ record }) => record.length);
    expect(records(taylorSeer({ order: 1 }))).toEqual([2, 2, 0, 0, 0, 0]);
    expect(records(taylorSeer({ predictor: { name: 'hold' } }))).toEqual([0, 2, 0, 0, 0, 0]);
  });
});

describe('Faster Diffusion', () => {
  it.each(Object.entries(SCHEDULES.fasterDiffusion))('has the key steps of the authors: %s', (key, schedule) => {
    const { setting, option } = settingOf(key);
    const policy = fasterDiffusion(option.endsWith('ls') ? {} : { interval: Number(option) });
    const plan = checkPlan(policy.plan(setting), setting);
    expect(drawSite(plan, spanSite({ first: 0, count: 3 }))).toBe(schedule);
    expect(plan.keeps).toBe('output');
  });

  it('skips the first ¾ of the blocks, and takes steps of its own', () => {
    const plan = fasterDiffusion({ keySteps: [4, 6] }).plan(planSetting(8, 28));
    expect(drawSite(plan, spanSite({ first: 0, count: 6 }))).toBe('#...#.#.');
    expect(countBlocks(fasterDiffusion().plan(planSetting(50, 28))).reused).toBe(41 * 21);
    expect(drawSite(fasterDiffusion().plan(planSetting(20, 28)), spanSite({ first: 0, count: 21 }))).toBe(
      SCHEDULES.fasterDiffusion['20/4'],
    );
  });
});

describe('Pyramid Attention Broadcast', () => {
  it.each(SCHEDULES.pab)('shares what the authors do: $options', ({ options, timesteps, self, cross, mlp }) => {
    const setting = { ...planSetting(timesteps.length, 6, PIXART), timesteps };
    const plan = checkPlan(pyramidAttentionBroadcast(options).plan(setting), setting);
    const blocks = 'mlpTimesteps' in options ? (options.mlpBlocks ?? []) : [];
    for (let block = 0; block < 6; block++) {
      expect(drawSite(plan, branch(block, 'self'))).toBe(self);
      expect(drawSite(plan, branch(block, 'cross'))).toBe(cross);
      expect(drawSite(plan, branch(block, 'mlp'))).toBe(blocks.includes(block) ? mlp : '#'.repeat(timesteps.length));
    }
  });

  it('leaves a DiT its self-attention', () => {
    const plan = pyramidAttentionBroadcast().plan(planSetting(50, 2));
    expect(plan.steps.flatMap(({ reuse }) => reuse.map((site) => site.kind === 'branch' && site.branch))).toEqual(
      expect.arrayContaining(['self']),
    );
    expect(plan.steps.some(({ reuse }) => reuse.some((site) => site.kind !== 'branch' || site.branch !== 'self'))).toBe(
      false,
    );
  });
});

describe('options out of range', () => {
  it.each<[StaticPolicy, RegExp]>([
    [fora({ interval: 0 }), /interval: expected a whole number from 1/],
    [taylorSeer({ interval: 1.5 }), /interval: expected a whole number/],
    [taylorSeer({ warmUp: 0 }), /warmUp: expected a whole number from 1/],
    [taylorSeer({ order: 9 }), /predictor taylor: .* got 9/],
    [fasterDiffusion({ keySteps: [8] }), /keySteps: expected a whole number from 0 to 7/],
    [fasterDiffusion({ interval: 9 }), /interval: expected a whole number from 1 to 8/],
    [fasterDiffusion({ cachedBlocks: 5 }), /cachedBlocks: expected a whole number from 0 to 4/],
    [pyramidAttentionBroadcast({ selfRange: 0 }), /selfRange: expected a whole number from 1/],
    [pyramidAttentionBroadcast({ minTimestep: 900 }), /minTimestep and maxTimestep: .* got 900 and 800/],
    [pyramidAttentionBroadcast({ mlpTimesteps: [3] }), /mlpTimesteps: this run has none at 3; its timesteps are 999, /],
    [pyramidAttentionBroadcast({ mlpBlocks: [4] }), /mlpBlocks: expected a whole number from 0 to 3/],
  ])('%#', (policy, message) => {
    expect(() => policy.plan(planSetting(8, 4))).toThrow(OptionError);
    expect(() => policy.plan(planSetting(8, 4))).toThrow(message);
  });

  it('refuses key steps and a period at once', () => {
    expect(() => fasterDiffusion({ keySteps: [0], interval: 2 })).toThrow(OptionError);
  });
});
