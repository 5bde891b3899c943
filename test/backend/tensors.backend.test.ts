import * as tf from '@tensorflow/tfjs-core';

/** Test realms have their own Float32Array; tensors must cross the border both ways. */
describe('tensors on the backend of this run', () => {
  it('runs the backend that the project names', () => {
    expect(tf.getBackend()).toBe(globalThis.DELTA_DIT_BACKEND);
  });

  it('makes tensors from typed arrays and reads them back', async () => {
    const values = new Float32Array([1.5, -2, 3, 4]);
    const x = tf.tensor2d(values, [2, 2]);
    const indices = tf.tensor1d(new Int32Array([1, 0]), 'int32');
    const y = tf.matMul(tf.gather(x, indices), x);
    expect(Array.from(await y.data())).toEqual([3 * 1.5 + 4 * 3, 3 * -2 + 4 * 4, 1.5 * 1.5 - 2 * 3, 1.5 * -2 - 2 * 4]);
    expect(Array.from(await indices.data())).toEqual([1, 0]);
    expect(await x.data()).toBeInstanceOf(Float32Array);
  });

  it('makes tensors from nested arrays, views and bytes', async () => {
    const view = new Float32Array(new Float32Array([9, 1, 2]).buffer, 4, 2);
    const bytes = new Float32Array(Uint8Array.from([0, 0, 128, 63]).buffer);
    const sum = tf.add(tf.tensor1d(view), tf.tensor1d([[0.5], [0.5]].flat()));
    expect(Array.from(await sum.data())).toEqual([1.5, 2.5]);
    expect(Array.from(await tf.add(tf.tensor1d(bytes), 0).data())).toEqual([1]);
  });
});
