import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import type { Span } from '../../src/cache/site.ts';
import { OptionError } from '../../src/errors.ts';
import { DeltaMeter, type DeltaReading } from '../../src/lab/delta-meter.ts';
import { type Block, runAllBlocks } from '../../src/models/block.ts';
import { expectBitEqual } from '../support/compare.ts';
import { type FakeConditioning, failingBlock, fakeBlock, fakeBlocks, fakeTokens } from '../support/fake-blocks.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { planSetting } from '../support/plans.ts';

/** A block that adds what it is told, [N,1,2], whatever its input. */
function addingBlock(rows: readonly (readonly [number, number])[]): Block<null> {
  const apply = (x: tf.Tensor3D) => tf.tidy(() => tf.add(x, tf.tensor3d(rows.map((row) => [[...row]]))) as tf.Tensor3D);
  return {
    modulation: () => fakeBlock(0).modulation({ gate: 0 }),
    rows: () => null,
    branches: [{ name: 'self', raw: apply, merge: apply, apply }],
  };
}

/** What a meter says of steps that are given as their blocks. */
async function readings(spans: readonly Span[], steps: readonly Block<null>[][], tokens: tf.Tensor3D) {
  const seen: DeltaReading[] = [];
  const meter = new DeltaMeter(spans, (reading) => seen.push(reading));
  for (const [step, blocks] of steps.entries()) (await meter.atStep(step)(blocks, tokens, null)).dispose();
  meter.dispose();
  return (span: number, step: number, row: number) =>
    seen.find((reading) => reading.span === span && reading.step === step && reading.row === row)!;
}

function expectMeasures(got: DeltaReading, want: Partial<DeltaReading>): void {
  for (const [measure, value] of Object.entries(want)) expect(got[measure as keyof DeltaReading]).toBeCloseTo(value, 5);
}

const tokens = () => tf.tensor3d([[[0, 5]], [[2, 0]]]); // two rows, ‖h_in‖ 5 and 2
const FIRST: Span = { first: 0, count: 1 };
const SECOND: Span = { first: 1, count: 1 };
const BOTH: Span = { first: 0, count: 2 };

describe('DeltaMeter', () => {
  const steps = [
    [
      addingBlock([
        [3, 4],
        [0, 2],
      ]),
      addingBlock([
        [1, 0],
        [1, 1],
      ]),
    ],
    [
      addingBlock([
        [4, 3],
        [0, -2],
      ]),
      addingBlock([
        [0, 2],
        [2, 2],
      ]),
    ],
  ];

  it('measures each row on its own, as computed by hand', async () => {
    const of = await readings([FIRST, SECOND], steps, tokens());
    expectMeasures(of(0, 0, 0), { norm: 5, relativeNorm: 5 / 5 });
    expectMeasures(of(0, 0, 1), { norm: 2, relativeNorm: 2 / 2 });
    // (3,4) becomes (4,3): cosine 24/25, change (1,−1); the tokens after it are (4,8)
    expectMeasures(of(0, 1, 0), { norm: 5, relativeNorm: 1, cosine: 0.96 });
    expectMeasures(of(0, 1, 0), { relativeChange: Math.SQRT2 / 5, reuseError: Math.SQRT2 / Math.hypot(4, 8) });
    // (0,2) becomes (0,−2): the opposite; the tokens after it are (2,−2)
    expectMeasures(of(0, 1, 1), { norm: 2, cosine: -1, relativeChange: 2, reuseError: 4 / Math.hypot(2, 2) });
    // the second block is given what the first one made: (4,8) and (2,−2)
    expectMeasures(of(1, 1, 0), { norm: 2, relativeNorm: 2 / Math.hypot(4, 8), cosine: 0 });
    expectMeasures(of(1, 1, 1), { norm: Math.hypot(2, 2), cosine: 1, relativeChange: 1 });
  });

  it('measures a span as the sum of its blocks', async () => {
    const of = await readings([BOTH], steps, tokens());
    expectMeasures(of(0, 0, 0), { norm: Math.hypot(4, 4), relativeNorm: Math.hypot(4, 4) / 5 });
    // (4,4) becomes (4,5)
    expectMeasures(of(0, 1, 0), { cosine: 36 / (Math.hypot(4, 4) * Math.hypot(4, 5)) });
    expectMeasures(of(0, 1, 0), { relativeChange: 1 / Math.hypot(4, 4), reuseError: 1 / Math.hypot(4, 10) });
  });

  it('says NaN where there is no step before, or nothing below the line', async () => {
    const still = addingBlock([
      [0, 0],
      [1, 0],
    ]);
    const of = await readings(
      [FIRST],
      [
        [still],
        [still],
        [
          addingBlock([
            [1, 0],
            [0, 0],
          ]),
        ],
      ],
      tokens(),
    );
    for (const row of [0, 1]) {
      const { cosine, relativeChange, reuseError } = of(0, 0, row);
      expect([cosine, relativeChange, reuseError]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    }
    expect(of(0, 1, 0)).toMatchObject({ norm: 0, cosine: Number.NaN, relativeChange: Number.NaN, reuseError: 0 });
    expect(of(0, 2, 0)).toMatchObject({ norm: 1, cosine: Number.NaN, relativeChange: Number.NaN });
    expect(of(0, 2, 1)).toMatchObject({ norm: 0, cosine: Number.NaN, relativeChange: 1 });
  });

  it('gives the tokens of the model, untouched', async () => {
    const cond = { gate: 0.5 };
    const meter = new DeltaMeter([BOTH, FIRST, FIRST], () => {});
    await expectBitEqual(
      await meter.atStep(0)(fakeBlocks(4), fakeTokens(), cond),
      await runAllBlocks(fakeBlocks(4), fakeTokens(), cond),
    );
    meter.dispose();
  });

  it('measures the error that Δ-Cache makes', async () => {
    const plan = deltaCache({ region: 'front', cachedBlocks: 3 }).plan(planSetting(2, 3));
    const gates = [0.5, 0.7];
    const cache = new CachedBlocks(plan);
    const cached: tf.Tensor3D[] = [];
    for (const [i, gate] of gates.entries())
      cached.push(await cache.atStep(i)(fakeBlocks(3), fakeTokens(i / 10), { gate }));
    cache.dispose();
    const errors: number[] = [];
    const meter = new DeltaMeter([{ first: 0, count: 3 }], ({ reuseError }) => errors.push(reuseError));
    const full: tf.Tensor3D[] = [];
    for (const [step, gate] of gates.entries())
      full.push(await meter.atStep(step)(fakeBlocks(3), fakeTokens(step / 10), { gate }));
    meter.dispose();
    const error = tf.div(tf.norm(tf.sub(cached[1]!, full[1]!)), tf.norm(full[1]!));
    expect(errors[1]).toBeCloseTo((await error.data())[0]!, 5);
    expect(errors[1]).toBeGreaterThan(0.05);
  });

  it('keeps one residual a span from step to step, and frees it', async () => {
    await expectNoLeak(async () => {
      const [given, cond] = [fakeTokens(), { gate: 0.5 }];
      const meter = new DeltaMeter([FIRST, BOTH, { first: 0, count: 4 }], () => {});
      const before = tf.memory().numTensors;
      for (let step = 0; step < 3; step++) {
        (await meter.atStep(step)(fakeBlocks(4), given, cond)).dispose();
        expect(tf.memory().numTensors).toBe(before + 3);
      }
      meter.dispose();
      meter.dispose();
      given.dispose();
    });
  });

  it('frees everything when a block fails in an open span, or the listener does', async () => {
    const [given, cond] = [fakeTokens(), { gate: 0.5 }];
    const run = async (blocks: readonly Block<FakeConditioning>[], onReading: () => void) => {
      const meter = new DeltaMeter([FIRST, BOTH], onReading);
      await meter
        .atStep(0)(fakeBlocks(2), given, cond)
        .then((out) => out.dispose());
      await meter
        .atStep(1)(blocks, given, cond)
        .finally(() => meter.dispose());
    };
    await expectCleanFailure(() => run([fakeBlock(0), failingBlock()], () => {}), Error, /block failed/);
    let calls = 0;
    const listener = () => {
      calls += 1;
      if (calls === 3) throw new Error('listener failed');
    };
    await expectCleanFailure(() => run(fakeBlocks(2), listener), Error, /listener failed/);
  });

  it.each([
    { first: 3, count: 2 },
    { first: -1, count: 2 },
    { first: 0, count: 0 },
  ])('refuses the span $first+$count of 4 blocks', async (span) => {
    const given = fakeTokens();
    const meter = new DeltaMeter([FIRST, span], () => {});
    await expectCleanFailure(
      () => meter.atStep(0)(fakeBlocks(4), given, { gate: 1 }),
      OptionError,
      /^spans: expected blocks inside the model's 4, got /,
    );
  });

  it('measures nothing where there are no spans', async () => {
    const meter = new DeltaMeter([], () => {
      throw new Error('a reading');
    });
    const out = await meter.atStep(0)(fakeBlocks(2), fakeTokens(), { gate: 1 });
    expect(out.shape).toEqual([1, 3, 2]);
  });
});
