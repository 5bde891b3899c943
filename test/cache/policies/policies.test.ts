import { deltaDiT } from '../../../src/cache/policies/delta-dit.ts';
import { deltaCache, featureCache } from '../../../src/cache/policies/span-cache.ts';
import type { StaticPolicy } from '../../../src/cache/policy.ts';
import { OptionError } from '../../../src/errors.ts';
import { planSetting, reuseOf } from '../../support/plans.ts';

const SETTING = planSetting(20, 28);

describe('deltaCache and featureCache', () => {
  it.each([
    ['front', '0+21'],
    ['middle', '3+21'],
    ['rear', '7+21'],
  ] as const)('%s skips %s at every second step', (region, span) => {
    for (const method of [deltaCache, featureCache]) {
      const plan = method({ region }).plan(SETTING);
      expect(reuseOf(plan)).toEqual(Array.from({ length: 20 }, (_, step) => (step % 2 === 0 ? 'full' : span)));
    }
    expect(deltaCache({ region }).plan(SETTING).keeps).toBe('delta');
    expect(featureCache({ region }).plan(SETTING).keeps).toBe('output');
    expect(deltaCache({ region }).name).toBe(`delta-cache-${region}`);
    expect(featureCache({ region }).name).toBe(`feature-cache-${region}`);
  });

  it('takes an offset of its own', () => {
    expect(reuseOf(deltaCache({ region: 'middle', offset: 4 }).plan(SETTING))[1]).toBe('4+21');
  });

  it('has defaults that fit at every number of steps', () => {
    for (let steps = 1; steps <= 20; steps++) {
      expect(() => deltaCache({ region: 'rear' }).plan(planSetting(steps, 3))).not.toThrow();
    }
  });
});

describe('Δ-DiT at its bounds', () => {
  it('is front-only at b = 0 and rear-only at b = T', () => {
    expect(deltaDiT({ stageBound: 0 }).plan(SETTING)).toEqual(deltaCache({ region: 'front' }).plan(SETTING));
    expect(deltaDiT({ stageBound: 20 }).plan(SETTING)).toEqual(deltaCache({ region: 'rear' }).plan(SETTING));
  });
});

describe('options out of range', () => {
  const refused: [StaticPolicy, string][] = [
    [deltaDiT({ interval: 0 }), 'interval: expected a whole number from 1 to 20 (the number of steps), got 0'],
    [deltaDiT({ interval: 21 }), 'interval: expected a whole number from 1 to 20 (the number of steps), got 21'],
    [deltaDiT({ interval: 1.5 }), 'interval: expected a whole number from 1 to 20 (the number of steps), got 1.5'],
    [deltaDiT({ cachedBlocks: 29 }), "cachedBlocks: expected a whole number from 0 to 28 (the model's blocks), got 29"],
    [deltaDiT({ cachedBlocks: -1 }), "cachedBlocks: expected a whole number from 0 to 28 (the model's blocks), got -1"],
    [
      deltaDiT({ cachedBlocks: Number.NaN }),
      "cachedBlocks: expected a whole number from 0 to 28 (the model's blocks), got NaN",
    ],
    [deltaDiT({ stageBound: 21 }), 'stageBound: expected a whole number from 0 to 20 (the number of steps), got 21'],
    [deltaDiT({ stageBound: -1 }), 'stageBound: expected a whole number from 0 to 20 (the number of steps), got -1'],
    [
      deltaDiT({ frontOffset: 8 }),
      'frontOffset: expected a whole number from 0 to 7 (the depth, 28, less cachedBlocks), got 8',
    ],
    [
      deltaDiT({ rearOffset: 8 }),
      'rearOffset: expected a whole number from 0 to 7 (the depth, 28, less cachedBlocks), got 8',
    ],
    [
      deltaCache({ region: 'front', offset: 8 }),
      'offset: expected a whole number from 0 to 7 (the depth, 28, less cachedBlocks), got 8',
    ],
    [
      featureCache({ region: 'rear', interval: 0 }),
      'interval: expected a whole number from 1 to 20 (the number of steps), got 0',
    ],
    [
      featureCache({ region: 'rear', cachedBlocks: 29 }),
      "cachedBlocks: expected a whole number from 0 to 28 (the model's blocks), got 29",
    ],
  ];

  it.each(refused.map(([policy, message]) => ({ policy, message })))('$message', ({ policy, message }) => {
    expect(() => policy.plan(SETTING)).toThrow(OptionError);
    expect(() => policy.plan(SETTING)).toThrow(new OptionError(message));
  });

  it('takes the whole depth', () => {
    expect(reuseOf(deltaDiT({ cachedBlocks: 28 }).plan(SETTING))[1]).toBe('0+28');
  });
});
