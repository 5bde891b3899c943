import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../../src/errors.ts';
import { torchNoise } from '../../src/pipelines/noise.ts';
import type { ModelOutput, NoiseSource, Sampler } from '../../src/schedulers/sampler.ts';
import { addsNoise, createSampler, SAMPLER_NAMES, type SamplerName } from '../../src/schedulers/samplers.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { Draws } from '../support/draws.ts';
import { madeUpModel } from '../support/made-up-model.ts';
import { expectNoLeak } from '../support/memory.ts';
import { noNoise } from '../support/noise.ts';

interface Case {
  readonly name: SamplerName;
  readonly eta: number;
  /** Whether the model gives variance logits. */
  readonly learned: boolean;
  readonly scheduler: Record<string, unknown>;
}

/** Keys of a scheduler_config.json. */
const SCHEDULED: Partial<Record<SamplerName, readonly Record<string, unknown>[]>> = {
  ddpm: [{ variance_type: 'learned_range', clip_sample: false }],
  unipc: [
    { solver_order: 3 },
    { solver_order: 1, solver_type: 'bh1' },
    { solver_order: 3, solver_type: 'bh1', predict_x0: false, disable_corrector: [0, 2] },
    { lower_order_final: false, final_sigmas_type: 'sigma_min' },
  ],
  deis: [{ solver_order: 1 }, { solver_order: 3 }, { solver_order: 3, lower_order_final: false }],
};

/** Every sampler, in each of the ways that take other code. */
const CASES: readonly Case[] = SAMPLER_NAMES.flatMap((name): Case[] => {
  const plain = { name, eta: 0, learned: false, scheduler: {} };
  const learned = { ...plain, learned: true };
  if (name.startsWith('ddim')) return [plain, learned, { ...plain, eta: 0.5 }, { ...plain, eta: 1 }];
  const scheduled = SCHEDULED[name] ?? [];
  return [plain, learned, ...scheduled.map((scheduler) => ({ ...plain, learned: name === 'ddpm', scheduler }))];
});
const SHAPE = [2, 2, 3, 4] as const;
/** The most steps: solvers end before timestep 0, LCM has those that it was distilled over. */
const MOST: Partial<Record<SamplerName, number>> = {
  ...{ 'dpm-solver++': 999, unipc: 999, deis: 999 },
  ...{ lcm: 50, 'lcm-original': 50 },
};
const SOLVERS = ['dpm-solver++', 'unipc', 'deis'] as const;
const isSolver = (name: SamplerName) => SOLVERS.some((solver) => solver === name);
const most = (name: SamplerName) => MOST[name] ?? 1000;
const made = ({ name, eta, scheduler }: Case, numInferenceSteps: number) =>
  createSampler(name, { numInferenceSteps, eta, scheduler });

/** A whole run; the tensors of each step are freed. @returns the last latents */
function finished(sampler: Sampler, noise: NoiseSource, learned: boolean, start: tf.Tensor4D): tf.Tensor4D {
  let x = start.clone();
  for (const [index, t] of sampler.timesteps.entries()) {
    const output = madeUpModel(x, t, learned);
    const next = sampler.step(index, output, x, noise);
    tf.dispose([x, { ...output }]);
    x = next;
  }
  sampler.dispose();
  return x;
}

function fromSeed(sampler: Sampler, seed: number | readonly number[], learned = false): tf.Tensor4D {
  const noise = torchNoise(seed, SHAPE[0]);
  const start = noise(SHAPE);
  const x = finished(sampler, noise, learned, start);
  start.dispose();
  return x;
}

describe.each(CASES)('a sampler: $name, η $eta, learned $learned, $scheduler', (one) => {
  const longest = isSolver(one.name) && Object.keys(one.scheduler).length > 0 ? 50 : most(one.name);
  it.each([...[1, 2, 4, 8, 20, 250].filter((steps) => steps < longest), longest])(
    'stays finite to the end in %d steps',
    async (count) => {
      const sampler = made(one, count);
      expect(sampler.timesteps).toHaveLength(count);
      expect(sampler.timesteps.every((t, i) => i === 0 || t < sampler.timesteps[i - 1]!)).toBe(true);
      const values = await fromSeed(sampler, 3, one.learned).data();
      expect(values).toHaveLength(48);
      expect(values.every(Number.isFinite)).toBe(true);
    },
  );

  it('gives the same for a seed, and other latents for another', async () => {
    const [first, again, other] = [3, 3, 4].map((seed) => fromSeed(made(one, 5), seed, one.learned));
    await expectBitEqual(again!, first!);
    expect(await relativeL2(other!, first!)).toBeGreaterThan(0.1);
  });

  it('draws noise if and only if it says so, of the shape of the latents, at most once a step', async () => {
    const drawn: number[][] = [];
    const noise: NoiseSource = (shape) => {
      drawn.push([...shape]);
      return tf.zeros([...shape]);
    };
    finished(made(one, 5), noise, one.learned, tf.ones([...SHAPE]));
    expect(drawn.length > 0).toBe(addsNoise(one.name, one.eta));
    expect(drawn.length).toBeLessThanOrEqual(5);
    expect(drawn.every((shape) => shape.join() === SHAPE.join())).toBe(true);
    if (!addsNoise(one.name, one.eta)) finished(made(one, 5), noNoise, one.learned, tf.ones([...SHAPE]));
  });

  it('makes each picture as it would alone', async () => {
    const together = fromSeed(made(one, 5), [3, 9], one.learned);
    for (const [i, seed] of [3, 9].entries()) {
      const noise = torchNoise([seed], 1);
      const alone = finished(made(one, 5), noise, one.learned, noise([1, 2, 3, 4]));
      expect(await relativeL2(tf.slice(together, [i, 0, 0, 0], [1, -1, -1, -1]), alone)).toBeLessThan(1e-6);
    }
  });

  it('borrows its inputs, gives one fresh tensor a step, and frees everything when it is disposed, twice too', async () => {
    for (const stopAfter of [1, 3, 5]) {
      await expectNoLeak(() => {
        const sampler = made(one, 5);
        const noise = torchNoise(1, SHAPE[0]);
        let x = noise(SHAPE);
        for (let index = 0; index < stopAfter; index++) {
          const output: ModelOutput = madeUpModel(x, sampler.timesteps[index]!, one.learned);
          const next = sampler.step(index, output, x, noise);
          expect([x, output.eps, next].map(({ isDisposed }) => isDisposed)).toEqual([false, false, false]);
          expect(new Set([x.id, output.eps.id, next.id]).size).toBe(3);
          tf.dispose([x, { ...output }]);
          x = next;
        }
        x.dispose();
        sampler.dispose();
        sampler.dispose();
      });
    }
  });

  it('leaves nothing behind when the noise fails', async () => {
    if (!addsNoise(one.name, one.eta)) return;
    await expectNoLeak(() => {
      const x = tf.ones([...SHAPE]) as tf.Tensor4D;
      const output = madeUpModel(x, 1, one.learned);
      expect(() => made(one, 5).step(0, output, x, noNoise)).toThrow('noise was drawn');
      tf.dispose([x, { ...output }]);
    });
  });

  it.each([0, -1, 1.5, 1001, Number.NaN])('refuses %d steps', (steps) => {
    expect(() => made(one, steps)).toThrow(OptionError);
    expect(() => made(one, steps)).toThrow(/^numInferenceSteps: expected a whole number from 1 to (50|999|1000), got /);
  });
});

describe('what single samplers ask for', () => {
  it('DDPM with learned variances: a model that learns them', async () => {
    await expectNoLeak(() => {
      const sampler = createSampler('ddpm', { numInferenceSteps: 4, scheduler: { variance_type: 'learned_range' } });
      const x = tf.ones([...SHAPE]) as tf.Tensor4D;
      expect(() => sampler.step(0, { eps: x }, x, torchNoise(1, 2))).toThrow(OptionError);
      x.dispose();
    });
  });

  it.each([
    ['lcm', 1, 0],
    ['lcm', 4, 3],
    ['lcm-original', 1, 0],
    ['lcm-original', 4, 4],
  ] as const)('%s in %d steps: noise, %d times', (name, numInferenceSteps, times) => {
    const noise = jest.fn<tf.Tensor4D, []>(() => tf.zeros([...SHAPE]));
    finished(createSampler(name, { numInferenceSteps }), noise, false, tf.ones([...SHAPE]));
    expect(noise).toHaveBeenCalledTimes(times);
  });

  it.each(SOLVERS)('%s: its steps in order, and a run anew', async (name) => {
    await expectNoLeak(async () => {
      const sampler = createSampler(name, { numInferenceSteps: 4 });
      const x = tf.ones([...SHAPE]) as tf.Tensor4D;
      const [first, second] = [0, 1].map((index) => sampler.step(index, { eps: x }, x, noNoise));
      expect(() => sampler.step(3, { eps: x }, x, noNoise)).toThrow(RangeError);
      const [again, after] = [0, 1].map((index) => sampler.step(index, { eps: x }, x, noNoise));
      await expectBitEqual(again!, first!);
      await expectBitEqual(after!, second!);
      sampler.dispose();
      tf.dispose([x, first, second, again, after]);
    });
  });

  it('UniPC without x0, and with B(h) = h: an end at σ 0, which is NaN in diffusers', async () => {
    for (const scheduler of [{ predict_x0: false }, { solver_type: 'bh1' }]) {
      const [plain, other] = [{}, scheduler].map((keys) =>
        createSampler('unipc', { numInferenceSteps: 1, scheduler: { ...keys, prediction_type: 'epsilon' } }),
      );
      const noise = torchNoise(5, SHAPE[0]);
      const [x, eps] = [noise(SHAPE), noise(SHAPE)];
      const [want, got] = [plain!, other!].map((sampler) => sampler.step(0, { eps }, x, noNoise));
      expect(await relativeL2(got!, want!)).toBeLessThan(1e-6);
      tf.dispose([x, eps, want!, got!]);
    }
  });
});

/** Where a sampler's own spacing, given as a list, is the same run. */
const SPACED: readonly [SamplerName, Record<string, unknown>][] = [
  ['ddim', { timestep_spacing: 'leading', clip_sample: false }],
  ...(['linspace', 'trailing'] as const).map((spacing) => ['ddpm', { timestep_spacing: spacing }] as const),
  ...SOLVERS.flatMap((name) =>
    ['leading', 'linspace', 'trailing'].map((spacing) => [name, { timestep_spacing: spacing }] as const),
  ),
].map(([name, scheduler]) => [name as SamplerName, scheduler as Record<string, unknown>]);

describe('timesteps that are given', () => {
  it.each(SPACED)('%s: its own, %p, are the same run', async (name, scheduler) => {
    const counted = createSampler(name, { numInferenceSteps: 8, scheduler });
    const given = createSampler(name, { timesteps: counted.timesteps, scheduler });
    expect(given.timesteps).toEqual(counted.timesteps);
    await expectBitEqual(fromSeed(given, 3), fromSeed(counted, 3));
  });

  it.each(['ddim', 'ddpm', ...SOLVERS] as const)(
    '%s: any that fall give finite latents, and leave nothing behind',
    async (name) => {
      const draws = new Draws(11);
      for (let i = 0; i < 8; i++) {
        const drawn = draws.many(1, 30, () => draws.whole(1, 999));
        const timesteps = [...new Set([...drawn, ...draws.one([[], [998, 999], [1, 2, 3]])])].sort((a, b) => b - a);
        await expectNoLeak(async () => {
          const last = fromSeed(createSampler(name, { timesteps }), i);
          expect((await last.data()).every(Number.isFinite)).toBe(true);
          last.dispose();
        });
      }
    },
  );
});
