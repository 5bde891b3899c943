import { OptionError } from '../../src/errors.ts';
import {
  checkMagCacheRule,
  MAGCACHE_RULE,
  magCacheSteps,
  smoothCacheSteps,
} from '../../src/lab/calibrated-schedules.ts';
import { fitPolynomial } from '../../src/lab/polynomial-fit.ts';
import { SCHEDULES } from '../support/schedules.ts';

const drawn = (computed: readonly boolean[]) => computed.map((full) => (full ? '#' : '.')).join('');

describe('smoothCacheSteps', () => {
  it.each(SCHEDULES.smoothcache.scan.map(({ errors, threshold, schedule }) => [schedule, errors, threshold] as const))(
    'is the authors’ scan: %s',
    (schedule, errors, threshold) => {
      expect(drawn(smoothCacheSteps(errors, threshold, schedule.length))).toBe(schedule);
    },
  );

  it('takes the farthest step that is near enough, even past one that is not', () => {
    expect(
      drawn(
        smoothCacheSteps(
          [
            [0.9, 0, 0, 0, 0],
            [0.9, 0, 0, 0],
            [0.1, 9, 9],
          ],
          0.1,
          6,
        ),
      ),
    ).toBe('#...##');
    expect(drawn(smoothCacheSteps([[0.1, 0.1]], 0.1, 3))).toBe('#.#');
  });
});

describe('magCacheSteps', () => {
  it.each(SCHEDULES.magcache.map(({ ratios, options, schedule }) => [schedule, ratios, options] as const))(
    'is the rule of the authors: %s',
    (schedule, ratios, options) => {
      expect(drawn(magCacheSteps(ratios, { ...MAGCACHE_RULE, ...options }))).toBe(schedule);
    },
  );

  it('refuses rules out of range', () => {
    for (const wrong of [{ threshold: -1 }, { maxSkip: -1 }, { retention: 1.1 }, { retention: Number.NaN }])
      expect(() => checkMagCacheRule({ ...MAGCACHE_RULE, ...wrong })).toThrow(OptionError);
    expect(() => checkMagCacheRule(MAGCACHE_RULE)).not.toThrow();
  });
});

describe('fitPolynomial', () => {
  it('is numpy.polyfit', () => {
    const { x, y, coefficients } = SCHEDULES.teacache;
    const fitted = fitPolynomial(x, y, 4);
    for (const [i, want] of coefficients.entries())
      expect(Math.abs(fitted[i]! - want)).toBeLessThan(1e-9 * Math.abs(want));
    expect(fitted).toHaveLength(5);
  });

  it('finds a polynomial that there is', () => {
    const x = [-2, -1, 0.5, 1, 3, 7];
    const fitted = fitPolynomial(
      x,
      x.map((v) => 2 * v ** 3 - v + 4),
      3,
    );
    for (const [i, want] of [2, 0, -1, 4].entries()) expect(fitted[i]).toBeCloseTo(want, 9);
  });

  it('refuses points that do not determine it', () => {
    expect(() => fitPolynomial([1, 2], [1, 2], 4)).toThrow(/2 points, or too few that differ, do not determine/);
    expect(() => fitPolynomial(Array(9).fill(0.3), Array(9).fill(1), 1)).toThrow(OptionError);
  });
});
