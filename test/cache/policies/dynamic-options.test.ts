import { adaCache } from '../../../src/cache/policies/ada-cache.ts';
import { adaptiveDelta } from '../../../src/cache/policies/adaptive-delta.ts';
import { dbCache } from '../../../src/cache/policies/db-cache.ts';
import { dbPrune } from '../../../src/cache/policies/db-prune.ts';
import { easyCache } from '../../../src/cache/policies/easy-cache.ts';
import { firstBlockCache } from '../../../src/cache/policies/first-block-cache.ts';
import { speCa } from '../../../src/cache/policies/spe-ca.ts';
import { teaCache } from '../../../src/cache/policies/tea-cache.ts';
import type { DynamicPolicy } from '../../../src/cache/policy.ts';
import { OptionError } from '../../../src/errors.ts';
import { planSetting } from '../../support/plans.ts';

const SETTING = planSetting(20, 12);

describe('options out of range', () => {
  const refused: [() => DynamicPolicy, string][] = [
    [() => teaCache({ threshold: -0.1 }), 'threshold: expected a number of at least 0, got -0.1'],
    [() => teaCache({ threshold: Number.NaN }), 'threshold: expected a number of at least 0, got NaN'],
    [() => teaCache({ coefficients: [] }), 'coefficients: expected numbers, highest power first, got []'],
    [
      () => teaCache({ coefficients: [1, Infinity] }),
      'coefficients: expected numbers, highest power first, got [1, Infinity]',
    ],
    [() => firstBlockCache({ threshold: -1 }), 'threshold: expected a number of at least 0, got -1'],
    [() => firstBlockCache({ warmUpSteps: 1.5 }), 'warmUpSteps: expected a whole number of at least 0, got 1.5'],
    [() => dbCache({ maxCachedSteps: -1 }), 'maxCachedSteps: expected a whole number of at least 0, got -1'],
    [() => dbCache({ maxConsecutive: Number.NaN }), 'maxConsecutive: expected a whole number of at least 0, got NaN'],
    [() => dbPrune({ relaxation: -1 }), 'relaxation: expected a number of at least 0, got -1'],
    [() => dbPrune({ maxThreshold: -1 }), 'maxThreshold: expected a number of at least 0, got -1'],
    [() => easyCache({ threshold: -1 }), 'threshold: expected a number of at least 0, got -1'],
    [() => adaptiveDelta({ tolerance: -1 }), 'tolerance: expected a number of at least 0, got -1'],
    [() => adaptiveDelta({ maxInterval: 0 }), 'maxInterval: expected a whole number from 1 to 1000 (steps), got 0'],
    [() => speCa({ decay: 2 }), 'decay: expected a number from 0 to 1, got 2'],
    [() => speCa({ minPredictions: 0 }), 'minPredictions: expected a whole number of at least 1, got 0'],
    [
      () =>
        adaCache({
          codebook: [
            { below: 0.2, steps: 2 },
            { below: 0.1, steps: 1 },
          ],
        }),
      'codebook: expected rising changes and whole numbers of steps from 1 on, got 0.2:2 0.1:1',
    ],
    [
      () => adaCache({ codebook: [{ below: 0.2, steps: 0 }] }),
      'codebook: expected rising changes and whole numbers of steps from 1 on, got 0.2:0',
    ],
    [
      () => adaCache({ codebook: [] }),
      'codebook: expected rising changes and whole numbers of steps from 1 on, got none',
    ],
    [() => adaCache({ codebook: 'quick' as 'fast' }), 'codebook: expected fast, slow, hundred-steps, got quick'],
  ];

  it.each(refused.map(([make, message]) => ({ make, message })))('$message', ({ make, message }) => {
    expect(make).toThrow(new OptionError(message));
  });

  it('predictors that do not exist', () => {
    expect(() => dbCache({ predictor: { name: 'taylor', order: 9 } })).toThrow(OptionError);
    expect(() => firstBlockCache({ predictor: { name: 'newton', order: -1 } })).toThrow(OptionError);
    expect(() => speCa({ order: 9 })).toThrow(OptionError);
    expect(() => adaptiveDelta({ predictor: { name: 'taylor', order: 9 } })).toThrow(OptionError);
  });
});

describe('options that do not fit the model', () => {
  it.each<[DynamicPolicy, string]>([
    [
      dbCache({ firstBlocks: 13 }),
      "firstBlocks: expected a whole number from 1 to 12 (the model's blocks, less lastBlocks), got 13",
    ],
    [
      dbCache({ firstBlocks: 8, lastBlocks: 5 }),
      "firstBlocks: expected a whole number from 1 to 7 (the model's blocks, less lastBlocks), got 8",
    ],
    [
      dbCache({ lastBlocks: 12 }),
      "lastBlocks: expected a whole number from 0 to 11 (the model's blocks, less one for firstBlocks), got 12",
    ],
    [
      dbPrune({ firstBlocks: 0 }),
      "firstBlocks: expected a whole number from 1 to 12 (the model's blocks, less lastBlocks), got 0",
    ],
    [
      adaptiveDelta({ cachedBlocks: 13 }),
      "cachedBlocks: expected a whole number from 0 to 12 (the model's blocks), got 13",
    ],
    [dbPrune({ alwaysComputed: [3, 12] }), 'alwaysComputed: expected blocks from 0 to 11, got 12'],
    [
      adaCache({ watchedBlock: 12 }),
      "watchedBlock: expected a whole number from 0 to 11 (the model's last block), got 12",
    ],
  ])('%#', (policy, message) => {
    expect(() => policy.begin(SETTING)).toThrow(new OptionError(message));
  });
});

describe('defaults', () => {
  it.each([teaCache(), firstBlockCache(), dbCache(), dbPrune(), easyCache(), adaCache(), adaptiveDelta(), speCa()])(
    'of $name fit models of any depth and runs of any length',
    (policy) => {
      for (const depth of [1, 2, 7, 28]) {
        for (const steps of [1, 2, 20]) expect(() => policy.begin(planSetting(steps, depth))).not.toThrow();
      }
    },
  );
});
