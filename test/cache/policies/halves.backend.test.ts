import * as tf from '@tensorflow/tfjs-core';
import { adaCache } from '../../../src/cache/policies/ada-cache.ts';
import { dbCache } from '../../../src/cache/policies/db-cache.ts';
import { firstBlockCache } from '../../../src/cache/policies/first-block-cache.ts';
import { speCa } from '../../../src/cache/policies/spe-ca.ts';
import { teaCache } from '../../../src/cache/policies/tea-cache.ts';
import type { DynamicPolicy } from '../../../src/cache/policy.ts';
import { type Halves, relativeChange } from '../../../src/cache/row-change.ts';
import { OptionError } from '../../../src/errors.ts';
import { relativeL2 } from '../../support/compare.ts';
import { replay, wave } from '../../support/fake-model.ts';
import { expectNoLeak } from '../../support/memory.ts';
import { planSetting } from '../../support/plans.ts';
import { randomTensor } from '../../support/random-weights.ts';

const METHODS: Readonly<Record<string, (halves?: Halves) => DynamicPolicy>> = {
  teacache: (halves) => teaCache({ threshold: 0.2, ...(halves && { halves }) }),
  'first-block-cache': (halves) => firstBlockCache({ threshold: 0.15, ...(halves && { halves }) }),
  dbcache: (halves) => dbCache({ threshold: 0.15, firstBlocks: 1, warmUpSteps: 0, ...(halves && { halves }) }),
  adacache: (halves) => adaCache({ watchedBlock: 1, ...(halves && { halves }) }),
  speca: (halves) => speCa({ order: 1, minPredictions: 1, warmUpSteps: 0, ...(halves && { halves }) }),
};

/** What is read of two halves of one sample, one of which changes much faster than the other. */
async function signalsOf(policy: DynamicPolicy, guidanceScale: number): Promise<readonly (readonly number[])[]> {
  const speeds = [0.01, 0.2];
  const at = (step: number, row: number) => ({ tokens: wave(0), gate: 1 + speeds[row]! * step });
  const { counts } = await expectNoLeak(() =>
    replay({
      policy,
      ...{ steps: 10, rows: [0, 1], guidanceScale, at },
      // TeaCache looks at what comes in, before any gate
      raw: (x, block, _, step) => tf.mul(x, 1 + block + 0.1 * step),
    }),
  );
  return counts.signals!.filter((rows) => rows.some((value) => value !== 0));
}

describe.each(Object.keys(METHODS).filter((name) => name !== 'teacache'))('%s', (name) => {
  it('reads each half by itself', async () => {
    const signals = await signalsOf(METHODS[name]!(), 4);
    expect(signals.length).toBeGreaterThan(0);
    expect(signals.some(([one, other]) => Math.abs(one! - other!) > 1e-3)).toBe(true);
  });

  it('together: the halves of a sample have one signal', async () => {
    const signals = await signalsOf(METHODS[name]!('together'), 4);
    expect(signals.length).toBeGreaterThan(0);
    for (const [one, other] of signals) expect(one).toBe(other);
  });

  it('together: without guidance there are no halves', async () => {
    expect(await signalsOf(METHODS[name]!('together'), 1)).toEqual(await signalsOf(METHODS[name]!(), 1));
  });
});

it.each(Object.entries(METHODS))('%s refuses another word', (_, make) => {
  const policy = make('both' as Halves);
  expect(() => policy.begin(planSetting(4, 3))).toThrow(OptionError);
});

describe('relativeChange of halves', () => {
  it('is what the authors measure over a batch of both halves of one sample', async () => {
    const [now, before] = [randomTensor([4, 3, 5], 1), randomTensor([4, 3, 5], 2)];
    const shared = relativeChange(now, before, 2);
    for (const sample of [0, 1]) {
      const both = (x: tf.Tensor) => tf.reshape(tf.gather(x, [sample, sample + 2]), [1, 30]);
      const want = relativeChange(both(now), both(before));
      for (const half of [0, 1]) {
        const got = tf.slice(shared, sample + 2 * half, 1);
        expect(await relativeL2(got, want)).toBeLessThan(1e-6);
      }
    }
  });

  it('leaves nothing', async () => {
    const now = tf.ones([4, 3]);
    await expectNoLeak(() => relativeChange(now, now, 2).dispose());
  });
});
