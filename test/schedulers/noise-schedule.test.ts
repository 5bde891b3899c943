import { OptionError } from '../../src/errors.ts';
import { alphasCumprod, checkSteps, LINEAR_SCHEDULE, roundHalfEven } from '../../src/schedulers/noise-schedule.ts';
import { readDDIMReference } from '../support/ddim-reference.ts';

const { alphasCumprod: reference } = readDDIMReference();
const SCHEDULES = {
  linear: LINEAR_SCHEDULE,
  scaled_linear: { numTrainTimesteps: 1000, betaStart: 0.00085, betaEnd: 0.012, betaSchedule: 'scaled_linear' },
} as const;

describe('alphasCumprod', () => {
  it.each(['linear', 'scaled_linear'] as const)("%s equals diffusers' table bit for bit", (name) => {
    const table = alphasCumprod(SCHEDULES[name]);
    expect(table).toHaveLength(1000);
    const got = Object.fromEntries(Object.keys(reference[name]).map((t) => [t, table[Number(t)]]));
    const want = Object.fromEntries(Object.entries(reference[name]).map(([t, value]) => [t, Math.fround(value)]));
    expect(got).toEqual(want);
  });

  it('takes a single training step', () => {
    expect(Array.from(alphasCumprod({ ...LINEAR_SCHEDULE, numTrainTimesteps: 1 }))).toEqual([
      Math.fround(1 - Math.fround(1e-4)),
    ]);
  });
});

describe('roundHalfEven', () => {
  it.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [166.5, 166],
    [812.5, 812],
    [499.5, 500],
    [-1.5, -2],
    [2.4, 2],
    [2.6, 3],
    [7, 7],
  ])('%d → %d', (x, rounded) => {
    expect(roundHalfEven(x)).toBe(rounded);
  });
});

describe('checkSteps', () => {
  it.each([1, 20, 1000])('takes %d', (steps) => {
    expect(() => checkSteps(steps, 1000)).not.toThrow();
  });

  it.each([0, -1, 1001, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d', (steps) => {
    expect(() => checkSteps(steps, 1000)).toThrow(OptionError);
    expect(() => checkSteps(steps, 1000)).toThrow(
      `numInferenceSteps: expected a whole number from 1 to 1000, got ${steps}`,
    );
  });
});
