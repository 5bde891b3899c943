import type * as tf from '@tensorflow/tfjs-core';

/** ‖got − want‖ ÷ ‖want‖ of two tensors of one shape, in double precision. Both are borrowed. */
export async function relativeL2(got: tf.Tensor, want: tf.Tensor): Promise<number> {
  expect(got.shape).toEqual(want.shape);
  return relativeL2Of(await got.data(), await want.data());
}

export function relativeL2Of(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < want.length; i++) {
    difference += (got[i]! - want[i]!) ** 2;
    norm += want[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}

export async function expectBitEqual(got: tf.Tensor, want: tf.Tensor): Promise<void> {
  expect(got.shape).toEqual(want.shape);
  expect(Array.from(await got.data())).toEqual(Array.from(await want.data()));
}

/** Peak signal-to-noise ratio in dB of pictures in [−1,1]. */
export function psnrOf(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let sum = 0;
  for (let i = 0; i < want.length; i++) sum += (got[i]! - want[i]!) ** 2;
  return 10 * Math.log10(2 ** 2 / (sum / want.length));
}
