import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { type CachePlan, countBlocks, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { deltaCache, featureCache } from '../../src/cache/policies/span-cache.ts';
import type { StaticPolicy } from '../../src/cache/policy.ts';
import { spanSite } from '../../src/cache/site.ts';
import { OptionError } from '../../src/errors.ts';
import { runAllBlocks } from '../../src/models/block.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { failingBlock, fakeBlocks, fakeTokens } from '../support/fake-blocks.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { planSetting } from '../support/plans.ts';

const TOKEN_BYTES = 4 * 1 * 3 * 2;

interface Run {
  /** Tokens after each step. */
  readonly outputs: tf.Tensor3D[];
  /** Blocks evaluated at each step. */
  readonly evaluated: number[][];
  readonly counts: CachedBlocks['counts'];
}

/** Runs a plan over fake blocks; tokens and conditioning change from step to step, or stay as they are. */
async function run(plan: CachePlan, { still = false } = {}): Promise<Run> {
  const cache = new CachedBlocks(plan);
  const outputs: tf.Tensor3D[] = [];
  const evaluated: number[][] = [];
  for (const step of plan.steps) {
    const log: number[] = [];
    const tokens = fakeTokens(still ? 0 : step.step / 50);
    outputs.push(
      await cache.atStep(step.step)(fakeBlocks(plan.depth, log), tokens, { gate: still ? 0.5 : 0.5 + step.step / 20 }),
    );
    tokens.dispose();
    evaluated.push(log);
  }
  cache.dispose();
  return { outputs, evaluated, counts: cache.counts };
}

const planOf = (policy: StaticPolicy, numInferenceSteps = 6, depth = 4) =>
  policy.plan(planSetting(numInferenceSteps, depth));

async function expectSameRun(got: Run, want: Run): Promise<void> {
  for (const [step, output] of got.outputs.entries()) await expectBitEqual(output, want.outputs[step]!);
}

describe('Δ-Cache', () => {
  it.each([
    [
      'front',
      [
        [0, 1, 2, 3],
        [2, 3],
      ],
    ],
    [
      'rear',
      [
        [0, 1, 2, 3],
        [0, 1],
      ],
    ],
    [
      'middle',
      [
        [0, 1, 2, 3],
        [0, 3],
      ],
    ],
  ] as const)('%s: evaluates %j', async (region, order) => {
    const { evaluated } = await run(planOf(deltaCache({ region, cachedBlocks: 2 }), 2));
    expect(evaluated).toEqual(order);
  });

  it('adds what the span added when it was recorded: h_out = h_in + Δ, Δ = h_out − h_in then', async () => {
    const plan = planOf(deltaCache({ region: 'rear', cachedBlocks: 2 }), 2);
    const blocks = fakeBlocks(4);
    const [before, after] = [{ gate: 0.5 }, { gate: 0.55 }];
    const prefix = await runAllBlocks(blocks.slice(0, 2), fakeTokens(), before);
    const delta = tf.sub(await runAllBlocks(blocks.slice(2), prefix, before), prefix);
    const want = tf.add(await runAllBlocks(blocks.slice(0, 2), fakeTokens(1 / 50), after), delta);
    const { outputs } = await run(plan);
    expect(await relativeL2(outputs[1]!, want)).toBeLessThan(1e-6);
  });

  it('adds Δ and does not subtract it', async () => {
    const cache = new CachedBlocks(planOf(deltaCache({ region: 'front', cachedBlocks: 4 }), 2));
    const [full, cached] = planOf(deltaCache({ region: 'front', cachedBlocks: 4 }), 2).steps;
    const blocks = fakeBlocks(4);
    const hOut = await cache.atStep(full!.step)(blocks, fakeTokens(), { gate: 1 });
    const delta = tf.sub(hOut, fakeTokens());
    expect((await delta.data()).every((value) => value > 0)).toBe(true); // these blocks only ever add
    const later = await cache.atStep(cached!.step)(blocks, fakeTokens(5), { gate: 1 });
    expect(await relativeL2(tf.sub(later, fakeTokens(5)), delta)).toBeLessThan(1e-5);
    cache.dispose();
  });

  it('with all blocks cached is h_0 + Δ, whatever the conditioning', async () => {
    const { outputs, evaluated } = await run(planOf(deltaCache({ region: 'front', cachedBlocks: 4 }), 2));
    expect(evaluated[1]).toEqual([]);
    const want = tf.add(fakeTokens(1 / 50), tf.sub(outputs[0]!, fakeTokens()));
    expect(await relativeL2(outputs[1]!, want)).toBeLessThan(1e-6);
  });

  it('equals computing when input and conditioning are those of the recording', async () => {
    for (const policy of [
      deltaDiT({ cachedBlocks: 2 }),
      deltaCache({ region: 'middle' }),
      featureCache({ region: 'rear' }),
    ]) {
      const { outputs } = await run(planOf(policy), { still: true });
      for (const output of outputs) expect(await relativeL2(output, outputs[0]!)).toBeLessThan(1e-6);
    }
  });

  it('keeps the current conditioning in the blocks that are computed', async () => {
    const plan = planOf(deltaCache({ region: 'front', cachedBlocks: 2 }), 2);
    const at = async (gate: number) => {
      const cache = new CachedBlocks(plan);
      await cache.atStep(0)(fakeBlocks(4), fakeTokens(), { gate: 0.5 });
      return cache.atStep(1)(fakeBlocks(4), fakeTokens(), { gate });
    };
    expect(await relativeL2(await at(0.6), await at(0.5))).toBeGreaterThan(1e-2);
  });
});

describe('the feature cache', () => {
  it('gives the recorded output, and the current input does not enter it', async () => {
    const plan = planOf(featureCache({ region: 'front', cachedBlocks: 2 }), 2);
    const recorded = await runAllBlocks(fakeBlocks(4).slice(0, 2), fakeTokens(), { gate: 0.5 });
    const want = await runAllBlocks(fakeBlocks(4).slice(2), recorded, { gate: 0.55 });
    const { outputs, evaluated } = await run(plan);
    expect(evaluated[1]).toEqual([2, 3]);
    await expectBitEqual(outputs[1]!, want);
  });
});

describe('runs that cache nothing equal the plain model bit for bit', () => {
  it.each([
    ['no cache method', undefined],
    ['interval 1', deltaDiT({ interval: 1 })],
    ['N_c = 0', deltaDiT({ cachedBlocks: 0 })],
    ['feature cache of nothing', featureCache({ region: 'rear', cachedBlocks: 0 })],
  ])('%s', async (_, policy) => {
    const setting = planSetting(4, 4);
    const { outputs, counts } = await run(policy ? policy.plan(setting) : uncachedPlan(setting));
    for (const [step, output] of outputs.entries()) {
      const want = await runAllBlocks(fakeBlocks(4), fakeTokens(step / 50), { gate: 0.5 + step / 20 });
      await expectBitEqual(output, want);
    }
    expect(counts).toEqual({ blocksComputed: 16, blocksReused: 0, stepBlocks: [4, 4, 4, 4], peakCachedBytes: 0 });
  });

  it('full steps of a cached run do, too', async () => {
    const plan = planOf(deltaDiT({ cachedBlocks: 3 }));
    const { outputs } = await run(plan);
    for (const step of [0, 2, 4]) {
      await expectBitEqual(
        outputs[step]!,
        await runAllBlocks(fakeBlocks(4), fakeTokens(step / 50), { gate: 0.5 + step / 20 }),
      );
    }
  });
});

describe('Δ-DiT at its bounds', () => {
  it('b = 0 gives the front-only results, b = T the rear-only ones, and these differ', async () => {
    const options = { cachedBlocks: 2 };
    const [front, rear] = [
      await run(planOf(deltaCache({ region: 'front', ...options }))),
      await run(planOf(deltaCache({ region: 'rear', ...options }))),
    ];
    await expectSameRun(await run(planOf(deltaDiT({ ...options, stageBound: 0 }))), front);
    await expectSameRun(await run(planOf(deltaDiT({ ...options, stageBound: 6 }))), rear);
    expect(await relativeL2(front.outputs[1]!, rear.outputs[1]!)).toBeGreaterThan(1e-3);
  });

  it('between them takes the rear before b and the front from b on', async () => {
    const options = { cachedBlocks: 2 };
    const [front, rear] = [
      await run(planOf(deltaCache({ region: 'front', ...options }))),
      await run(planOf(deltaCache({ region: 'rear', ...options }))),
    ];
    const { outputs } = await run(planOf(deltaDiT({ ...options, stageBound: 2 })));
    await expectBitEqual(outputs[1]!, rear.outputs[1]!);
    await expectBitEqual(outputs[3]!, front.outputs[3]!);
    await expectBitEqual(outputs[5]!, front.outputs[5]!);
  });
});

describe('what a run counts and keeps', () => {
  it.each([
    ['Δ-DiT', deltaDiT({ cachedBlocks: 3 })],
    ['interval 3 with steps left over', deltaDiT({ interval: 3, cachedBlocks: 2 })],
    ['feature cache', featureCache({ region: 'middle' })],
  ])('%s: the blocks of the plan', async (_, policy) => {
    const plan = planOf(policy, 8);
    const { counts, evaluated } = await run(plan);
    const { computed, reused } = countBlocks(plan);
    expect(counts.blocksComputed).toBe(computed);
    expect(counts.blocksReused).toBe(reused);
    expect(evaluated.flat()).toHaveLength(computed);
  });

  it('one span tensor at a time, even where the region changes', async () => {
    expect((await run(planOf(deltaCache({ region: 'front' })))).counts.peakCachedBytes).toBe(TOKEN_BYTES);
    expect((await run(planOf(featureCache({ region: 'front' })))).counts.peakCachedBytes).toBe(TOKEN_BYTES);
    const { counts } = await run(planOf(deltaDiT({ cachedBlocks: 2, stageBound: 2 })));
    expect(counts.peakCachedBytes).toBe(TOKEN_BYTES);
  });

  it('two only in a group that straddles b', async () => {
    const plan = planOf(deltaDiT({ interval: 3, stageBound: 2, cachedBlocks: 2 }), 6);
    expect((await run(plan)).counts.peakCachedBytes).toBe(2 * TOKEN_BYTES);
  });

  it('keeps exactly the spans that a later step takes, and frees them at the end', async () => {
    const plan = planOf(deltaDiT({ interval: 3, stageBound: 2, cachedBlocks: 2 }), 8);
    const cache = new CachedBlocks(plan);
    const kept: number[] = [];
    await expectNoLeak(async () => {
      const before = tf.memory().numTensors;
      for (const step of plan.steps) {
        const tokens = fakeTokens();
        tf.dispose([await cache.atStep(step.step)(fakeBlocks(4), tokens, { gate: 1 }), tokens]);
        kept.push(tf.memory().numTensors - before);
      }
      cache.dispose();
    });
    // full, rear, front, full, front, front, full, full
    expect(kept).toEqual([2, 1, 0, 1, 1, 0, 0, 0]);
  });

  it('frees what is kept when a run stops early', async () => {
    const plan = planOf(deltaDiT({ interval: 3, stageBound: 2, cachedBlocks: 2 }));
    await expectNoLeak(async () => {
      const cache = new CachedBlocks(plan);
      const tokens = fakeTokens();
      tf.dispose([await cache.atStep(0)(fakeBlocks(4), tokens, { gate: 1 }), tokens]);
      cache.dispose();
      cache.dispose();
    });
  });

  it('refuses a plan that reuses what no step recorded', async () => {
    const plan: CachePlan = {
      ...uncachedPlan(planSetting(1, 4)),
      steps: [{ step: 0, record: [], reuse: [spanSite({ first: 1, count: 2 })], rows: 'both' }],
    };
    const cache = new CachedBlocks(plan);
    const work = async () => {
      const tokens = fakeTokens(0);
      try {
        await cache.atStep(0)(fakeBlocks(4, []), tokens, { gate: 1 });
      } finally {
        tokens.dispose();
      }
    };
    await expectCleanFailure(work, OptionError, /step 0 reuses blocks 1\+2, which no step before it recorded/);
  });

  it('frees everything of a step in which a block fails, recordings under way included', async () => {
    const plan = planOf(deltaDiT({ interval: 3, stageBound: 2, cachedBlocks: 2 }));
    const tokens = fakeTokens();
    const blocks = [...fakeBlocks(3), failingBlock()];
    await expectCleanFailure(
      async () => {
        const cache = new CachedBlocks(plan);
        await cache
          .atStep(0)(blocks, tokens, { gate: 1 })
          .finally(() => cache.dispose());
      },
      Error,
      /block failed/,
    );
    expect(tokens.isDisposed).toBe(false);
  });
});
