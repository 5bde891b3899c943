import * as tf from '@tensorflow/tfjs-core';

/** A kernel [in,out] rounded to bfloat16: as a linear holds it, [in,out/2], and in float32. */
export async function roundedToBfloat16(kernel: tf.Tensor2D): Promise<{ held: tf.Tensor2D; widened: tf.Tensor2D }> {
  const [rows, columns] = kernel.shape;
  const bits = new Uint32Array((await kernel.data()).slice().buffer);
  const halves = Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16); // to nearest, ties to even
  const wide = Uint32Array.from(halves, (half) => half << 16);
  return {
    held: tf.tensor2d(new Float32Array(halves.buffer), [rows, columns / 2]),
    widened: tf.tensor2d(new Float32Array(wide.buffer), [rows, columns]),
  };
}
