import * as tf from '@tensorflow/tfjs-core';
import { runAllBlocks } from '../../src/models/block.ts';
import type { DiT } from '../../src/models/dit.ts';
import { classDenoiser } from '../../src/pipelines/guidance.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { expectNoLeak } from '../support/memory.ts';
import { randomTensor } from '../support/random-weights.ts';
import { loadTinyDiT } from '../support/tiny-dit.ts';

const NULL = 7;
const T = 321;

let dit: DiT;
beforeAll(async () => {
  dit = await loadTinyDiT('original');
});
afterAll(() => dit.dispose());

const latents = () => randomTensor<tf.Tensor4D>([2, 8, 8, 4], 3);
/** ε of the model itself for labels of one kind, its variance logits cut off. */
async function epsilon(labels: number[]): Promise<tf.Tensor4D> {
  return tf.slice(await dit.predict(latents(), [T, T], labels), [0, 0, 0, 0], [-1, -1, -1, 4]);
}
const channels = (x: tf.Tensor4D, from: number, to: number) => tf.slice(x, [0, 0, 0, from], [-1, -1, -1, to - from]);

describe('classDenoiser', () => {
  it.each([3, 4])(
    'guides %d channels: ε_null + s·(ε_cond − ε_null); the rest is the conditional half',
    async (guidedChannels) => {
      const [cond, uncond] = [await epsilon([2, 5]), await epsilon([NULL, NULL])];
      const want = tf.add(uncond, tf.mul(tf.sub(cond, uncond), 4)) as tf.Tensor4D;
      const { eps } = await classDenoiser(dit, [2, 5], { guidanceScale: 4, guidedChannels })(
        latents(),
        T,
        runAllBlocks,
      );
      expect(eps.shape).toEqual([2, 8, 8, 4]);
      expect(await relativeL2(channels(eps, 0, guidedChannels), channels(want, 0, guidedChannels))).toBeLessThan(1e-5);
      if (guidedChannels === 3) {
        expect(await relativeL2(channels(eps, 3, 4), channels(cond, 3, 4))).toBeLessThan(1e-5);
        expect(await relativeL2(channels(eps, 3, 4), channels(want, 3, 4))).toBeGreaterThan(0.1);
      }
    },
  );

  it.each([1, 4])("keeps the classes' own variance logits at a scale of %d", async (guidanceScale) => {
    const out = await dit.predict(latents(), [T, T], [2, 5]);
    const denoise = classDenoiser(dit, [2, 5], { guidanceScale, guidedChannels: 3 });
    const { variance } = await denoise(latents(), T, runAllBlocks);
    expect(await relativeL2(variance!, channels(out, 4, 8))).toBeLessThan(1e-5);
  });

  it('runs both halves as one batch, the classes first, then "no class"', async () => {
    const batches: number[] = [];
    let halves: tf.Tensor2D | undefined;
    const denoise = classDenoiser(dit, [2, 5], { guidanceScale: 2, guidedChannels: 4 });
    await denoise(latents(), T, (blocks, tokens, cond) => {
      batches.push(tokens.shape[0]);
      halves = (cond as { c: tf.Tensor2D }).c.clone();
      return runAllBlocks(blocks, tokens, cond);
    });
    expect(batches).toEqual([4]);
    const { cond } = dit.embed(tf.zeros([4, 8, 8, 4]), [T, T, T, T], [2, 5, NULL, NULL]);
    await expectBitEqual(halves!, cond.c);
  });

  it.each([1, 0, -3])('a scale of %d means no guidance: one half, the model as it is', async (guidanceScale) => {
    const batches: number[] = [];
    const denoise = classDenoiser(dit, [2, 5], { guidanceScale, guidedChannels: 3 });
    const { eps } = await denoise(latents(), T, (blocks, tokens, cond) => {
      batches.push(tokens.shape[0]);
      return runAllBlocks(blocks, tokens, cond);
    });
    expect(batches).toEqual([2]);
    await expectBitEqual(eps, await epsilon([2, 5]));
  });

  it('gives fresh tensors and leaves the latents, guided or not, and frees all when the runner fails', async () => {
    for (const guidanceScale of [1, 4]) {
      await expectNoLeak(async () => {
        const x = latents();
        const denoise = classDenoiser(dit, [2, 5], { guidanceScale, guidedChannels: 3 });
        const before = tf.memory().numTensors;
        const { eps, variance } = await denoise(x, T, runAllBlocks);
        expect(tf.memory().numTensors).toBe(before + 2);
        tf.dispose([eps, variance!]);
        await expect(denoise(x, T, () => Promise.reject(new Error('runner failed')))).rejects.toThrow('runner failed');
        expect(x.isDisposed).toBe(false);
        x.dispose();
      });
    }
  });
});
