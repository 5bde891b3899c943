import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import { TorchGenerator } from '../ops/randn.ts';

/**
 * Initial noise as `torch.randn([n, C, H, W], generator=…)` on the CPU gives it, channels last.
 * One seed: all samples from one generator, one after the other. A list: a generator for each sample.
 * @returns [N,H,W,C]
 */
export function initialNoise(
  seed: number | readonly number[],
  n: number,
  height: number,
  width: number,
  channels: number,
): tf.Tensor4D {
  const size = channels * height * width;
  const values = new Float32Array(n * size);
  if (typeof seed === 'number') {
    checkSeed(seed);
    values.set(new TorchGenerator(seed).randn(n * size));
  } else {
    if (seed.length !== n)
      throw new OptionError(`seed: expected one number or ${n}, one a picture, got ${seed.length}`);
    seed.forEach((one, i) => {
      checkSeed(one);
      values.set(new TorchGenerator(one).randn(size), i * size);
    });
  }
  return tf.tidy(() => tf.transpose(tf.tensor4d(values, [n, channels, height, width]), [0, 2, 3, 1]));
}

function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new OptionError(`seed: expected a whole number from 0 to 2^53 − 1, got ${seed}`);
  }
}
