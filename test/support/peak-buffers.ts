import * as tf from '@tensorflow/tfjs-core';

/** The most bytes of tensor buffers that `work` holds at once beyond those before it. A view has no buffer of its own. */
export async function peakBufferBytes(work: () => unknown): Promise<number> {
  const engine = tf.engine();
  const { trackTensor, removeDataId, runKernel } = engine;
  const live = new Map<object, number>();
  let [bytes, peak, kernel] = [0, 0, ''];
  const spies = [
    jest.spyOn(engine, 'runKernel').mockImplementation((name, ...rest) => {
      kernel = name;
      return runKernel.call(engine, name, ...rest) as never;
    }),
    jest.spyOn(engine, 'trackTensor').mockImplementation((tensor, backend) => {
      // TensorFlow's reshape gives a new handle for the same buffer
      const isNew = !engine.state.tensorInfo.has(tensor.dataId) && kernel !== 'Reshape';
      trackTensor.call(engine, tensor, backend);
      if (!isNew) return;
      live.set(tensor.dataId, tensor.size * Float32Array.BYTES_PER_ELEMENT);
      bytes += tensor.size * Float32Array.BYTES_PER_ELEMENT;
      peak = Math.max(peak, bytes);
    }),
    jest.spyOn(engine, 'removeDataId').mockImplementation((dataId, backend) => {
      removeDataId.call(engine, dataId, backend);
      bytes -= live.get(dataId) ?? 0;
      live.delete(dataId);
    }),
  ];
  try {
    await work();
    return peak;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
