import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../../src/errors.ts';
import { torchNoise } from '../../src/pipelines/noise.ts';
import type { ModelOutput, NoiseSource, Sampler } from '../../src/schedulers/sampler.ts';
import { addsNoise, createSampler, SAMPLER_NAMES, type SamplerName } from '../../src/schedulers/samplers.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
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

/** Every sampler, in each of the ways that take other code. */
const CASES: readonly Case[] = SAMPLER_NAMES.flatMap((name): Case[] => {
  const plain = { name, eta: 0, learned: false, scheduler: {} };
  const learned = { ...plain, learned: true };
  if (name.startsWith('ddim')) return [plain, learned, { ...plain, eta: 0.5 }, { ...plain, eta: 1 }];
  if (name !== 'ddpm') return [plain, learned];
  return [plain, learned, { ...learned, scheduler: { variance_type: 'learned_range', clip_sample: false } }];
});
const SHAPE = [2, 2, 3, 4] as const;
/** The most steps: the solver ends before timestep 0, LCM has those that it was distilled over. */
const MOST: Partial<Record<SamplerName, number>> = { 'dpm-solver++': 999, lcm: 50, 'lcm-original': 50 };
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
  const counts = [1, 2, 4, 8, 20, 250].filter((steps) => steps < most(one.name));
  it.each([...counts, most(one.name)])('stays finite to the end in %d steps', async (count) => {
    const sampler = made(one, count);
    expect(sampler.timesteps).toHaveLength(count);
    expect(sampler.timesteps.every((t, i) => i === 0 || t < sampler.timesteps[i - 1]!)).toBe(true);
    const values = await fromSeed(sampler, 3, one.learned).data();
    expect(values).toHaveLength(48);
    expect(values.every(Number.isFinite)).toBe(true);
  });

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

  it('DPM-Solver++: its steps in order', async () => {
    await expectNoLeak(() => {
      const sampler = createSampler('dpm-solver++', { numInferenceSteps: 4 });
      const x = tf.ones([...SHAPE]) as tf.Tensor4D;
      sampler.step(0, { eps: x }, x, noNoise).dispose();
      expect(() => sampler.step(2, { eps: x }, x, noNoise)).toThrow(RangeError);
      sampler.dispose();
      x.dispose();
    });
  });
});
