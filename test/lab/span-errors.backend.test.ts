import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { deltaCache, regionSpan } from '../../src/cache/policies/span-cache.ts';
import { SpanErrorMeter, type SpanErrorReading } from '../../src/lab/span-errors.ts';
import { runAllBlocks } from '../../src/models/block.ts';
import { failingBlock, fakeBlock, fakeBlocks, fakeTokens } from '../support/fake-blocks.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { planSetting } from '../support/plans.ts';

const LINE = { name: 'taylor', order: 1 } as const;
const DEPTH = 4;
const REGIONS = ['front', 'middle', 'rear'] as const;
const SPANS = REGIONS.map((region) => regionSpan(region, 2, DEPTH));
const cond = (step: number) => ({ gate: 0.1 * (step + 1) ** 2 });
const tokensAt = (step: number) => fakeTokens(0.03 * step);

/** ‖h′ − h‖² ÷ ‖h‖² where a plan predicts the region at step 3 of 5. */
async function errorUnderPlan(region: (typeof REGIONS)[number]): Promise<number> {
  const plan = deltaCache({ region, cachedBlocks: 2, interval: 2, predictor: LINE }).plan(planSetting(5, DEPTH));
  const cache = new CachedBlocks(plan);
  const blocks = fakeBlocks(DEPTH);
  let error = Number.NaN;
  for (let step = 0; step <= 3; step++) {
    const tokens = tokensAt(step);
    const [h, right] = [
      await cache.atStep(step)(blocks, tokens, cond(step)),
      await runAllBlocks(blocks, tokens, cond(step)),
    ];
    const square = async (x: tf.Tensor) => (await tf.sum(tf.square(x)).data())[0]!;
    if (step === 3) error = (await square(tf.sub(h, right))) / (await square(right));
  }
  cache.dispose();
  return error;
}

async function readings(): Promise<SpanErrorReading[]> {
  const seen: SpanErrorReading[] = [];
  const meter = new SpanErrorMeter(
    SPANS,
    LINE,
    (step) => step % 2 === 0,
    (reading) => seen.push(reading),
  );
  const blocks = fakeBlocks(DEPTH);
  for (let step = 0; step <= 4; step++) {
    const tokens = tokensAt(step);
    const h = await meter.atStep(step)(blocks, tokens, cond(step));
    const right = await runAllBlocks(blocks, tokens, cond(step));
    expect([...(await h.data())]).toEqual([...(await right.data())]); // the run goes on uncached
    tf.dispose([tokens, h, right]);
  }
  meter.dispose();
  return seen;
}

it('measures what a plan with that span would do to the tokens after the last block', async () => {
  const seen = await readings();
  expect(seen.map(({ step, span }) => [step, span])).toEqual([1, 3].flatMap((step) => [0, 1, 2].map((i) => [step, i])));
  for (const [span, region] of REGIONS.entries()) {
    const { squaredError } = seen.find((reading) => reading.step === 3 && reading.span === span)!;
    expect(squaredError).toBeGreaterThan(0);
    expect(squaredError).toBeCloseTo(await errorUnderPlan(region), 6);
  }
});

it('leaks nothing, also where a block fails', async () => {
  await expectNoLeak(readings);
  const tokens = fakeTokens();
  await expectCleanFailure(
    async () => {
      const meter = new SpanErrorMeter(SPANS, LINE, () => true, jest.fn());
      try {
        await meter.atStep(0)([fakeBlock(0), failingBlock()], tokens, cond(0));
      } finally {
        meter.dispose();
      }
    },
    Error,
    /block failed/,
  );
  tokens.dispose();
});
