import * as tf from '@tensorflow/tfjs-core';

/** Runs `work` and expects as many tensors and buffers after it as before, whether it succeeds or throws. */
export async function expectNoLeak<T>(work: () => Promise<T> | T): Promise<T> {
  const before = tf.memory();
  try {
    return await work();
  } finally {
    const after = tf.memory();
    expect({ tensors: after.numTensors, buffers: after.numDataBuffers }).toEqual({
      tensors: before.numTensors,
      buffers: before.numDataBuffers,
    });
  }
}

/** Expects `work` to fail with an error of the class and text, and to leave no tensor behind. */
export async function expectCleanFailure(
  work: () => Promise<unknown> | unknown,
  errorClass: new (...args: never[]) => Error,
  text: RegExp,
): Promise<void> {
  const error = await expectNoLeak(async () => {
    try {
      await work();
    } catch (thrown) {
      return thrown;
    }
    return undefined;
  });
  expect(error).toBeInstanceOf(errorClass);
  expect((error as Error).message).toMatch(text);
}
