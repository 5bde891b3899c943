import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../../src/cache/cached-blocks.ts';
import { outputForm } from '../../../src/cache/output-form.ts';
import { checkPlan, countBlocks } from '../../../src/cache/plan.ts';
import { type ForecastOptions, forecast } from '../../../src/cache/policies/forecast.ts';
import { OptionError } from '../../../src/errors.ts';
import { expectNoLeak } from '../../support/memory.ts';
import { planSetting } from '../../support/plans.ts';

const evaluations = (steps: number, interval: number) =>
  countBlocks(forecast({ interval }).plan(planSetting(steps, 28))).computed / 28;

describe('the plan', () => {
  it.each([
    [20, 2, 11],
    [40, 4, 11],
    [40, 3, 14],
    [32, 2, 17],
    [40, 2, 21],
    [5, 1, 5],
    [1, 1, 1],
  ])('of %d steps, every %d-th computed: %d evaluations', (steps, interval, want) => {
    expect(evaluations(steps, interval)).toBe(want);
  });

  it('is one that runs take, and refuses intervals out of range', () => {
    const setting = planSetting(7, 3);
    expect(checkPlan(forecast({ keeps: 'x0' }).plan(setting), setting).keeps).toBe('x0');
    for (const interval of [0, 8, 1.5]) expect(() => forecast({ interval }).plan(setting)).toThrow(OptionError);
  });
});

/** The outputs of a run whose model says `says(latents, step)`, and at which steps it was asked. */
async function run(options: ForecastOptions, says: (x: number, step: number) => number, steps: number) {
  const plan = forecast(options).plan(planSetting(steps, 2));
  const clean = (step: number) => ({ ofLatents: 1 + step / 10, ofOutput: -(2 + step / 10) });
  const cache = new CachedBlocks(plan, outputForm(plan.keeps, clean));
  const outputs: number[] = [];
  const asked: number[] = [];
  for (let step = 0; step < steps; step++) {
    const latents: tf.Tensor4D = tf.fill([1, 1, 1, 1], 10 - step);
    const output = await cache.output(step, latents, async (x) => {
      asked.push(step);
      return tf.fill(x.shape, says((await x.data())[0]!, step)) as tf.Tensor4D;
    });
    outputs.push((await output.data())[0]!);
    tf.dispose([latents, output]);
  }
  const { counts } = cache;
  cache.dispose();
  return { outputs, asked, counts };
}

describe('the run', () => {
  it('extrapolates the output linearly, exactly where it is a line in the steps', async () => {
    await expectNoLeak(async () => {
      const { outputs, asked, counts } = await run({ interval: 3 }, (_, step) => 5 - 2 * step, 8);
      expect(asked).toEqual([0, 3, 6, 7]);
      // before the second evaluation there is one value to go by
      expect(outputs).toEqual([5, 5, 5, -1, -3, -5, -7, -9]);
      expect(counts).toMatchObject({ blocksComputed: 0, blocksReused: 8, peakCachedBytes: 8 });
    });
  });

  it('extrapolates the clean latents, and turns them into an output at the current latents', async () => {
    const says = (x: number, step: number) => ((1 + step / 10) * x - 7) / (2 + step / 10); // x0 = 7 at every step
    const { outputs, asked } = await run({ interval: 2, keeps: 'x0' }, says, 5);
    expect(asked).toEqual([0, 2, 4]);
    for (const [step, output] of outputs.entries()) expect(output).toBeCloseTo(says(10 - step, step), 4);
  });

  it('at interval 1 asks the model at every step and keeps nothing', async () => {
    const { asked, counts } = await run({ interval: 1 }, () => 1, 4);
    expect(asked).toEqual([0, 1, 2, 3]);
    expect(counts.peakCachedBytes).toBe(0);
  });
});
