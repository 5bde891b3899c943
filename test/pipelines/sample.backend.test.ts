import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { type CachePlan, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import { AbortError, NumericsError } from '../../src/errors.ts';
import type { Denoiser } from '../../src/pipelines/guidance.ts';
import { type SampleOptions, type StepEvent, sample } from '../../src/pipelines/sample.ts';
import { alphasCumprod, LINEAR_SCHEDULE } from '../../src/schedulers/noise-schedule.ts';
import type { NoiseSource, Sampler } from '../../src/schedulers/sampler.ts';
import { fakeBlocks, fakeTokens } from '../support/fake-blocks.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { noNoise } from '../support/noise.ts';
import { planSetting } from '../support/plans.ts';

const STEPS = 4;

/** Takes the model's output off the latents. */
const sampler: Sampler = {
  timesteps: [900, 600, 300, 0],
  step: (_, { eps }, x) => tf.sub(x, eps),
  dispose: () => {},
};

/** A model that says 1, whatever it sees; its blocks are fakes, run for the cache to see. */
const denoise: Denoiser = async (x, _t, run) => {
  const tokens = fakeTokens();
  const out = await run(fakeBlocks(4), tokens, { gate: 0.5 }).finally(() => tokens.dispose());
  out.dispose();
  return { eps: tf.onesLike(x) };
};

function run(change: Partial<SampleOptions> = {}, plan: CachePlan = uncachedPlan(planSetting(STEPS, 4))) {
  const cache = new CachedBlocks(plan);
  return sample({
    noise: tf.fill([1, 2, 2, 1], 10),
    sampler,
    stepNoise: noNoise,
    denoise,
    cache,
    ...change,
  }).finally(() => cache.dispose());
}

describe('sample', () => {
  it('steps from noise to image and tells of each step', async () => {
    const events: Omit<StepEvent, 'latents' | 'seconds' | 'xStart'>[] = [];
    const values: number[] = [];
    const onStep = async ({ latents, seconds, xStart: _, ...event }: StepEvent) => {
      events.push(event);
      values.push((await latents.data())[0]!);
      expect(seconds).toBeGreaterThanOrEqual(0);
    };
    const plan = deltaCache({ region: 'front' }).plan(planSetting(STEPS, 4));
    await expectNoLeak(async () => {
      const { latents, stepSeconds } = await run({ onStep }, plan);
      expect(Array.from(await latents.data())).toEqual([6, 6, 6, 6]);
      expect(stepSeconds).toHaveLength(STEPS);
      latents.dispose();
    });
    expect(values).toEqual([9, 8, 7, 6]);
    expect(events).toEqual(
      [900, 600, 300, 0].map((timestep, step) => ({
        step,
        numInferenceSteps: STEPS,
        timestep,
        blocks: step % 2 === 1 ? 3 : 4,
        cached: step % 2 === 1,
      })),
    );
  });

  it.each(['epsilon', 'v_prediction'] as const)('shows the clean latents of each step (%s)', async (type) => {
    const alphas = alphasCumprod(LINEAR_SCHEDULE);
    const seen: number[] = [];
    const onStep = async ({ xStart }: StepEvent) => {
      const clean = xStart();
      seen.push((await clean.data())[0]!);
      clean.dispose();
    };
    await expectNoLeak(async () => (await run({ onStep, scheduler: { prediction_type: type } })).latents.dispose());
    const expected = [900, 600, 300, 0].map((t, step) => {
      const [signal, noise] = [Math.sqrt(alphas[t]!), Math.sqrt(1 - alphas[t]!)];
      const x = 10 - step; // and the model says 1
      return type === 'epsilon' ? (x - noise) / signal : x * signal - noise;
    });
    for (const [step, value] of seen.entries()) expect(value / expected[step]!).toBeCloseTo(1, 4);
  });

  it('gives each step its runner, and the residuals of the blocks that it evaluates', async () => {
    const seen: string[] = [];
    const plan = deltaCache({ region: 'rear', cachedBlocks: 3 }).plan(planSetting(STEPS, 4));
    const { latents } = await run({ onBlockDelta: ({ step, block }) => void seen.push(`${step}:${block}`) }, plan);
    latents.dispose();
    expect(seen).toEqual(['0:0', '0:1', '0:2', '0:3', '1:0', '2:0', '2:1', '2:2', '2:3', '3:0']);
  });

  it("takes a caller's own runner for each step instead of the cache", async () => {
    const steps: number[] = [];
    const runBlocks: SampleOptions['runBlocks'] = (step) => async (_, tokens) => {
      steps.push(step);
      return tokens.clone();
    };
    await expectNoLeak(async () => (await run({ runBlocks })).latents.dispose());
    expect(steps).toEqual([0, 1, 2, 3]);
  });

  it('hands each step the source of its noise, and frees variance logits', async () => {
    const noisy: Sampler = {
      ...sampler,
      step: (_, { variance }, x, noise) => tf.tidy(() => tf.add(tf.add(x, noise([1, 2, 2, 1])), variance ?? 0)),
    };
    const logits: Denoiser = async (x) => ({ eps: tf.onesLike(x), variance: tf.onesLike(x) });
    let drawn = 0;
    const stepNoise: NoiseSource = (shape) => tf.fill([...shape], ++drawn);
    await expectNoLeak(async () => {
      const { latents } = await run({ sampler: noisy, denoise: logits, stepNoise });
      expect(Array.from(await latents.data())).toEqual(Array(4).fill(10 + 4 + 1 + 2 + 3 + 4));
      latents.dispose();
    });
  });

  it('stops before a step when its signal says so, and frees everything', async () => {
    const plan = deltaCache({ region: 'front' }).plan(planSetting(STEPS, 4));
    const early = new AbortController();
    early.abort();
    await expectCleanFailure(() => run({ signal: early.signal }, plan), AbortError, /stopped before step 1 of 4/);
    const later = new AbortController();
    const onStep = ({ step }: StepEvent) => (step === 0 ? later.abort() : undefined); // a span is kept now
    await expectCleanFailure(
      () => run({ signal: later.signal, onStep }, plan),
      AbortError,
      /stopped before step 2 of 4/,
    );
    const last = new AbortController();
    const atTheEnd = ({ step }: StepEvent) => (step === STEPS - 1 ? last.abort() : undefined);
    await expectCleanFailure(
      () => run({ signal: last.signal, onStep: atTheEnd }, plan),
      AbortError,
      /stopped after the last step/,
    );
  });

  it('frees everything when the listener, the model or the sampler fails', async () => {
    const fail = () => Promise.reject(new Error('failed on purpose'));
    const failing: Partial<SampleOptions>[] = [
      { onStep: fail },
      { onBlockDelta: fail },
      { denoise: fail },
      { runBlocks: () => fail },
      {
        sampler: {
          ...sampler,
          step: () => {
            throw new Error('failed on purpose');
          },
        },
      },
    ];
    for (const change of failing) await expectCleanFailure(() => run(change), Error, /failed on purpose/);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'says at which step latents became %d',
    async (value) => {
      const spoilt: Denoiser = async (_, t) => ({ eps: tf.tensor4d([0, 0, 0, t === 600 ? value : 0], [1, 2, 2, 1]) });
      await expectCleanFailure(
        () => run({ denoise: spoilt }),
        NumericsError,
        /stopped being finite at step 2 \(timestep 600\) on backend/,
      );
    },
  );
});
