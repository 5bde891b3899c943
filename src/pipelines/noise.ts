import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import { TorchGenerator } from '../ops/randn.ts';
import type { NoiseSource } from '../schedulers/sampler.ts';

/**
 * The noise of one run, as `torch.randn([n, C, H, W], generator=…)` on the CPU gives it, channels last. Each call
 * continues where the last one stopped.
 * @param halves 2: also the numbers of the other guidance half are drawn, after the n pictures, and left unused, as
 * the original DiT does, whose samplers step both halves. With a generator a picture, each draws its other half.
 */
export type TorchNoise = (shape: Parameters<NoiseSource>[0], halves?: 1 | 2) => tf.Tensor4D;

/**
 * One seed: all pictures from one generator, one after the other. A list: a generator for each picture.
 * @param n the pictures of the run
 * @throws OptionError for another number of seeds, or a seed that is none.
 */
export function torchNoise(seed: number | readonly number[], n: number): TorchNoise {
  const seeds = typeof seed === 'number' ? [seed] : seed;
  if (typeof seed !== 'number' && seeds.length !== n)
    throw new OptionError(`seed: expected one number or ${n}, one a picture, got ${seeds.length}`);
  seeds.forEach(checkSeed);
  const generators = seeds.map((one) => new TorchGenerator(one));
  return ([count, height, width, channels], halves = 1) => {
    const values = new Float32Array(count * channels * height * width);
    const share = values.length / generators.length;
    generators.forEach((generator, i) => {
      values.set(generator.randn(halves * share).subarray(0, share), i * share);
    });
    return tf.tidy(() => tf.transpose(tf.tensor4d(values, [count, channels, height, width]), [0, 2, 3, 1]));
  };
}

function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new OptionError(`seed: expected a whole number from 0 to 2^53 − 1, got ${seed}`);
  }
}
