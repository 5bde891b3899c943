import * as tf from '@tensorflow/tfjs-core';
import { DDIMSampler } from '../../src/schedulers/ddim.ts';
import { ddimConfig } from '../../src/schedulers/scheduler-config.ts';
import { relativeL2Of } from '../support/compare.ts';
import { readDDIMReference } from '../support/ddim-reference.ts';
import { expectNoLeak } from '../support/memory.ts';
import { noNoise } from '../support/noise.ts';

const { config, initial, loops } = readDDIMReference();

/** The made-up model of the fixture. */
const model = (x: tf.Tensor4D, t: number): tf.Tensor4D => tf.tidy(() => tf.add(tf.mul(x, 0.1), Math.sin(t)));
const start = (): tf.Tensor4D => tf.tensor4d(initial, [1, 2, 4, 1]);

describe("DDIMSampler against diffusers' DDIMScheduler", () => {
  it.each(loops)('$name in $steps steps', async ({ changes, steps, timesteps, latents }) => {
    const sampler = new DDIMSampler(steps, ddimConfig({ ...config, ...changes }));
    expect(sampler.timesteps).toEqual(timesteps);
    let x = start();
    for (const [index, t] of sampler.timesteps.entries()) {
      x = sampler.step(index, { eps: model(x, t) }, x, noNoise);
      expect(relativeL2Of(await x.data(), latents[index]!)).toBeLessThan(1e-5);
    }
  });

  it('a step borrows its inputs and gives one fresh tensor', async () => {
    for (const { changes } of loops) {
      await expectNoLeak(() => {
        const sampler = new DDIMSampler(4, ddimConfig({ ...config, ...changes }));
        const [x, eps] = [start(), start()];
        for (const index of [0, 3]) {
          const before = tf.memory().numTensors;
          const next = sampler.step(index, { eps }, x, noNoise);
          expect(tf.memory().numTensors).toBe(before + 1);
          next.dispose();
        }
        expect(x.isDisposed || eps.isDisposed).toBe(false);
        tf.dispose([x, eps]);
        sampler.dispose();
      });
    }
  });

  // every other step differs: at the end ᾱ_prev is 1 by default, else that of timestep 0
  it('ends with the predicted x0', async () => {
    const sampler = new DDIMSampler(1, ddimConfig(config));
    const [x, eps] = [start(), tf.zerosLike(start())];
    const alpha = 1 - 1e-4; // ᾱ of timestep 0, the only one of a 1-step run with leading spacing
    expect(
      relativeL2Of(
        await sampler.step(0, { eps }, x, noNoise).data(),
        initial.map((value) => value / Math.sqrt(alpha)),
      ),
    ).toBeLessThan(1e-6);
  });
});
