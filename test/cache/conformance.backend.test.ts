import * as tf from '@tensorflow/tfjs-core';
import { type CachePolicy, isStatic } from '../../src/cache/policy.ts';
import { holdsOutput, policyCases, skipsModel, tensorsKept } from '../support/cache-policies.ts';
import { ditSubject, type LoadedSubject, pixArtSubject } from '../support/cache-subjects.ts';
import { relativeL2Of } from '../support/compare.ts';
import { FakeBlocks, fakeSubject, replay, wave } from '../support/fake-model.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { planSetting } from '../support/plans.ts';
import { type PolicyRun, type PolicyRunOptions, runPolicy, type Subject } from '../support/policy-run.ts';

/** What every cache method must hold to. A new one is one line in test/support/cache-policies.ts. */
const CASES = Object.entries(policyCases()).map(([name, one]) => ({ name, ...one }));
const STEPS = 6;
const SETTING = planSetting(STEPS, 3);
/** One of each kind; those that read a learned variance cannot serve methods that skip the model. */
const SAMPLERS = ['dpm-solver++', 'unipc', 'lcm-original'] as const;
/** Neighbours change how a matrix product is blocked. */
const ROW_ALONE = 1e-5;

const SUBJECTS: Record<string, () => Promise<LoadedSubject>> = {
  'fake blocks': async () => ({ ...fakeSubject(new FakeBlocks(3)), dispose: () => {} }),
  'the tiny DiT': ditSubject,
  'the tiny PixArt': pixArtSubject,
};

const settingOf = ({ depth, branches }: Subject) => planSetting(STEPS, depth, branches);

describe.each(Object.entries(SUBJECTS))('over %s', (_, load) => {
  let subject: LoadedSubject;
  let uncached: PolicyRun;
  beforeAll(async () => {
    subject = await load();
    uncached = await runPolicy(subject, undefined);
  });
  afterAll(() => subject.dispose());

  describe.each(CASES)('$name', (one) => {
    const { idle } = one;
    let active: CachePolicy;
    let ran: PolicyRun;
    beforeAll(async () => {
      active = subject.isRandom ? (one.bold ?? one.active) : one.active;
      ran = await expectNoLeak(() => runPolicy(subject, active));
    });

    it('set to cache nothing is the plain run, bit for bit', async () => {
      const { latents, counts } = await runPolicy(subject, idle);
      expect(latents).toEqual(uncached.latents);
      expect(counts).toMatchObject({ blocksComputed: STEPS * subject.depth, blocksReused: 0 });
    });

    it('counts every block once, and caches some', () => {
      const { blocksComputed, blocksReused, stepBlocks } = ran.counts;
      expect(blocksComputed + blocksReused).toBeCloseTo(STEPS * subject.depth, 6);
      expect(stepBlocks).toHaveLength(STEPS);
      expect(stepBlocks[0]).toBe(subject.depth);
      expect(blocksReused).toBeGreaterThan(0);
      expect(ran.latents).not.toEqual(uncached.latents);
    });

    it('gives each sample what it gets alone, and twice the same, while other runs are under way', async () => {
      const [again, ...alone] = await Promise.all(
        [[0, 1], [0], [1]].map((samples) => runPolicy(subject, active, { samples })),
      );
      expect(again).toEqual(ran);
      for (const [sample, run] of alone.entries()) {
        for (const [step, latents] of run.latents.entries()) {
          const size = latents.length;
          const own = ran.latents[step]!.subarray(sample * size, (sample + 1) * size);
          expect(relativeL2Of(own, latents)).toBeLessThan(ROW_ALONE);
        }
      }
    });

    it('keeps no more than it declares', () => {
      const setting = settingOf(subject);
      const [height, width, channels] = subject.latentShape;
      const site = skipsModel(active, setting) ? 2 * height * width * channels : 4 * subject.tokensPerRow;
      const numbers = isStatic(active) ? 0 : 4 * 2; // one or two a row
      const most = Float32Array.BYTES_PER_ELEMENT * (tensorsKept(one, setting) * site + numbers);
      expect(ran.counts.peakCachedBytes).toBeGreaterThan(0);
      expect(ran.counts.peakCachedBytes).toBeLessThanOrEqual(most);
    });
  });
});

describe.each(CASES)('$name over fake blocks', ({ name, active, idle }) => {
  const options = { samples: [0, 1, 2] };
  let blocks: FakeBlocks;
  let ran: PolicyRun;
  beforeAll(async () => {
    blocks = new FakeBlocks(3);
    ran = await runPolicy(fakeSubject(blocks), active, options);
  });

  it('evaluates the blocks that it counts', () => {
    expect(blocks.evaluated / (6 * blocks.branches.length)).toBeCloseTo(ran.counts.blocksComputed, 6);
  });

  it('leaves nothing behind when a block fails, and runs again', async () => {
    const subject = fakeSubject(blocks);
    const failing: Subject = {
      ...subject,
      denoiserOf: (samples) => {
        const denoise = subject.denoiserOf(samples);
        return (x, t, ...rest) => {
          blocks.failing = t < 400 ? 2 : -1;
          return denoise(x, t, ...rest);
        };
      },
    };
    await expectCleanFailure(() => runPolicy(failing, active, options), Error, /block failed/);
    blocks.failing = -1;
    expect(await runPolicy(subject, active, options)).toEqual(ran);
  });

  it('starts anew with other steps, another sampler, another size', async () => {
    const changes: [Subject, PolicyRunOptions][] = [
      [fakeSubject(blocks), { steps: 4 }],
      [fakeSubject(blocks), { steps: 4, sampler: 'dpm-solver++' }],
      [fakeSubject(blocks, 3), { steps: 4 }],
    ];
    for (const [subject, change] of changes) {
      const fresh = await runPolicy(subject, policyCases()[name]!.active, change);
      expect(await runPolicy(subject, active, change)).toEqual(fresh);
    }
  });

  it.each(SAMPLERS)('serves %s', async (sampler) => {
    const subject = fakeSubject(blocks);
    const [plain, idling, cached] = await Promise.all(
      [undefined, idle, active].map((policy) => runPolicy(subject, policy, { sampler, steps: 4 })),
    );
    expect(idling!.latents).toEqual(plain!.latents);
    expect(cached!.latents.at(-1)!.every(Number.isFinite)).toBe(true);
  });

  it('equals computing where nothing changes from step to step', async () => {
    const still = () => ({ tokens: wave(0.3), gate: 0.5 });
    const [want] = (await replay({ policy: idle, steps: 1, at: still })).outputs;
    const { outputs } = await expectNoLeak(() => replay({ policy: active, steps: STEPS, at: still }));
    for (const output of outputs) expect(relativeL2Of(output, want!)).toBeLessThan(1e-6);
  });
});

it.each(CASES.filter(({ active }) => !holdsOutput(active, SETTING)))(
  '$name is exact, sign and all, on blocks that add a constant',
  async ({ active, idle }) => {
    const raw = (x: tf.Tensor3D, block: number) => tf.fill(x.shape, (block + 1) / 4) as tf.Tensor3D;
    const at = (step: number) => ({ tokens: wave(step / 100), gate: 0.5 });
    const { outputs: want } = await replay({ policy: idle, steps: STEPS, at, raw });
    const { outputs } = await replay({ policy: active, steps: STEPS, at, raw });
    for (const [step, output] of outputs.entries()) expect(relativeL2Of(output, want[step]!)).toBeLessThan(1e-6);
  },
);

it.each(CASES.filter(({ active }) => !skipsModel(active, SETTING)))(
  '$name takes guidance halves in one batch as in two',
  async ({ active }) => {
    const at = (step: number, row: number) => ({
      tokens: wave((0.2 + 0.2 * row) * (1 + step / 20)),
      gate: 0.3 + row * step * 0.02,
    });
    const { outputs: batch } = await replay({ policy: active, steps: STEPS, at, rows: [0, 1] });
    for (const row of [0, 1]) {
      const { outputs: alone } = await replay({ policy: active, steps: STEPS, at, rows: [row] });
      for (const [step, output] of batch.entries()) {
        const size = output.length / 2;
        expect(relativeL2Of(output.subarray(row * size, (row + 1) * size), alone[step]!)).toBeLessThan(1e-6);
      }
    }
  },
);
