import * as tf from '@tensorflow/tfjs-core';
import { encodeFloat32, STORED_AS, toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { type HalfDtype, weightHolding } from '../../src/checkpoint/hold.ts';
import { unchecked } from '../unchecked.ts';

/** The 16-bit types that the backend of this run is to hold, once it has its kernels. */
export const HALVES: readonly HalfDtype[] =
  globalThis.DELTA_DIT_BACKEND === 'webgpu' ? ['bfloat16', 'float16'] : ['bfloat16'];

/** Whether it has them; notes what could not be checked where it has not. */
export function holdsHalves(what: string): boolean {
  if (HALVES.every((dtype) => weightHolding().dtypes.includes(dtype))) return true;
  unchecked(`${what} on this backend: they need the fused ops`);
  return false;
}

/**
 * A kernel [in,out] rounded to 16 bits: as a linear holds it, [in,out/2], and in float32.
 * @param words the type of what is held, as the backend's kernels want it
 */
export async function roundedKernel(
  kernel: tf.Tensor2D,
  dtype: HalfDtype,
  words: 'float32' | 'int32' = 'float32',
): Promise<{ held: tf.Tensor2D; widened: tf.Tensor2D }> {
  const [rows, columns] = kernel.shape;
  const halves = encodeFloat32((await kernel.data()) as Float32Array, STORED_AS[dtype]);
  const Words = words === 'float32' ? Float32Array : Int32Array;
  return {
    held: tf.tensor2d(new Words(halves.slice().buffer), [rows, columns / 2], words),
    widened: tf.tensor2d(toFloat32(halves, STORED_AS[dtype]), [rows, columns]),
  };
}
