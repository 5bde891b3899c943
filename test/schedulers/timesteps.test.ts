import { OptionError } from '../../src/errors.ts';
import { LCM_DEFAULTS } from '../../src/schedulers/lcm.ts';
import { LINEAR_SCHEDULE } from '../../src/schedulers/noise-schedule.ts';
import {
  consistencyTimesteps,
  givenTimesteps,
  respacedTimesteps,
  solverTimesteps,
  spacedTimesteps,
  stridedTimesteps,
} from '../../src/schedulers/timesteps.ts';
import { Draws } from '../support/draws.ts';
import { readSamplerReference } from '../support/sampler-reference.ts';

const reference = readSamplerReference().timesteps;
const SPACINGS = ['leading', 'linspace', 'trailing'] as const;
const spacing = (timestepSpacing: (typeof SPACINGS)[number], stepsOffset = 0) => ({
  ...LINEAR_SCHEDULE,
  timestepSpacing,
  stepsOffset,
});

/** Where a list does not fall, or leaves 0 … 999. */
const faults = (timesteps: readonly number[]) =>
  timesteps.filter((t, i) => !Number.isInteger(t) || t < 0 || t > 999 || (i > 0 && t >= timesteps[i - 1]!));

describe('timesteps', () => {
  it.each(SPACINGS)("of the solvers equal diffusers': %s", (name) => {
    for (const solver of ['dpm-solver++', 'unipc', 'deis'] as const) {
      for (const [steps, want] of Object.entries(reference[solver][name])) {
        expect(solverTimesteps(Number(steps), spacing(name))).toEqual(want);
      }
    }
  });

  it('of the original DiT equal its respacing', () => {
    for (const [steps, want] of Object.entries(reference['ddpm-original'])) {
      expect(respacedTimesteps(Number(steps), 1000)).toEqual(want);
    }
    expect(respacedTimesteps(250, 1000).slice(-3)).toEqual([8, 4, 0]);
    expect(respacedTimesteps(50, 1000).slice(-5)).toEqual([82, 61, 41, 20, 0]);
  });

  it('of the original DDIM have a whole stride', () => {
    for (const [steps, want] of Object.entries(reference['ddim-original'])) {
      expect(stridedTimesteps(Number(steps), 1000)).toEqual(want);
    }
    expect(stridedTimesteps(1, 1000)).toEqual([0]);
  });

  it("of LCM equal diffusers' and the original's, at every number of steps", () => {
    for (const [steps, want] of Object.entries(reference.lcm)) {
      expect(consistencyTimesteps(Number(steps), LCM_DEFAULTS, 'diffusers')).toEqual(want);
    }
    for (const [steps, want] of Object.entries(reference['lcm-original'])) {
      expect(consistencyTimesteps(Number(steps), LCM_DEFAULTS, 'original')).toEqual(want);
    }
    expect([reference.lcm, reference['lcm-original']].map((lists) => Object.keys(lists).length)).toEqual([50, 50]);
    expect(consistencyTimesteps(4, LCM_DEFAULTS, 'diffusers')).toEqual([999, 759, 499, 259]);
    expect(consistencyTimesteps(4, LCM_DEFAULTS, 'original')).toEqual([999, 759, 519, 279]);
    expect(() => consistencyTimesteps(51, LCM_DEFAULTS, 'diffusers')).toThrow(
      new OptionError('numInferenceSteps: expected a whole number from 1 to 50, got 51'),
    );
  });

  it('are as many as asked for, fall strictly and stay within the training, at every number of steps', () => {
    for (let steps = 1; steps <= 1000; steps++) {
      const lists = [
        ...SPACINGS.map((name) => spacedTimesteps(steps, spacing(name))),
        respacedTimesteps(steps, 1000),
        solverTimesteps(steps, spacing('trailing')),
        ...(steps < 1000
          ? [solverTimesteps(steps, spacing('linspace')), solverTimesteps(steps, spacing('leading'))]
          : []),
      ];
      for (const list of lists) expect([list.length, faults(list)]).toEqual([steps, []]);
    }
  });

  it('the whole strides are the original’s, and the other numbers of steps are refused with their neighbours', () => {
    const possible = new Set(Array.from({ length: 1000 }, (_, i) => Math.ceil(1000 / (i + 1))));
    for (let steps = 1; steps <= 1000; steps++) {
      if (possible.has(steps)) {
        const list = stridedTimesteps(steps, 1000);
        expect([list.length, faults(list)]).toEqual([steps, []]);
      } else {
        expect(() => stridedTimesteps(steps, 1000)).toThrow(OptionError);
      }
    }
    expect(() => stridedTimesteps(300, 1000)).toThrow(
      'numInferenceSteps: no whole stride over 1000 timesteps gives 300 steps (ddim-original); take 250 or 334, or the sampler ddim',
    );
  });

  it('the solver has no room for 1000 steps between timestep 999 and 0', () => {
    for (const name of ['linspace', 'leading'] as const) {
      expect(() => solverTimesteps(1000, spacing(name))).toThrow(
        'numInferenceSteps: expected a whole number from 1 to 999, got 1000',
      );
    }
  });

  it('an offset moves leading timesteps alone, and not past the last', () => {
    expect(solverTimesteps(4, spacing('leading', 1))).toEqual([801, 601, 401, 201]);
    expect(solverTimesteps(4, spacing('linspace', 1))).toEqual(solverTimesteps(4, spacing('linspace')));
    expect(() => solverTimesteps(999, spacing('leading', 1))).toThrow(/steps_offset 1 would start at timestep 1000/);
    expect(() => spacedTimesteps(1000, spacing('leading', 1))).toThrow(/steps_offset 1 would start at timestep 1000/);
  });
});

describe('timesteps that are given', () => {
  it('are taken if and only if they fall, within the training', () => {
    const draws = new Draws(4);
    let taken = 0;
    for (let i = 0; i < 400; i++) {
      const list = draws.many(1, 3, () => draws.one([-1, 0, 1, 2, 7.5, 500, 998, 999, 1000, Number.NaN]));
      if (faults(list).length === 0) {
        expect(givenTimesteps(list, 1000)).toEqual(list);
        taken++;
      } else {
        expect(() => givenTimesteps(list, 1000)).toThrow(OptionError);
      }
    }
    expect(taken).toBeGreaterThan(20);
    expect(taken).toBeLessThan(380);
  });

  it.each([
    [[], 'none'],
    [[1000], '1000'],
    [[999, 850, 850], '850 after 850'],
    [[500, 999], '999 after 500'],
    [[500, -1], '-1 after 500'],
    [[Number.POSITIVE_INFINITY], 'Infinity'],
  ])('%p are refused, with the first that is wrong', (list, got) => {
    const message = `timesteps: expected whole numbers from 999 down to 0, each below the one before; got ${got}`;
    for (const lay of [spacedTimesteps, solverTimesteps])
      expect(() => lay(list, spacing('leading'))).toThrow(new OptionError(message));
  });

  it('replace the spacing and its offset, and are copied', () => {
    const list = [999, 3, 0];
    const laid = solverTimesteps(list, spacing('leading', 1));
    expect(laid).toEqual(list);
    list.pop();
    expect(laid).toEqual([999, 3, 0]);
  });
});
