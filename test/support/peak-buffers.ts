import * as tf from '@tensorflow/tfjs-core';

/** The most bytes of tensor buffers that `work` holds at once beyond those before it. A view has no buffer of its own. */
export async function peakBufferBytes(work: () => unknown): Promise<number> {
  const engine = tf.engine();
  const { trackTensor, removeDataId, runKernel } = engine;
  const live = new Map<object, { readonly size: number; handles: number }>();
  let [bytes, peak] = [0, 0];
  let viewed: object | undefined; // what a Reshape that runs is of
  const spies = [
    jest.spyOn(engine, 'runKernel').mockImplementation((name, inputs, ...rest) => {
      viewed = name === 'Reshape' ? (inputs.x as tf.Tensor).dataId : undefined;
      const result = runKernel.call(engine, name, inputs, ...rest);
      viewed = undefined;
      return result as never;
    }),
    jest.spyOn(engine, 'trackTensor').mockImplementation((tensor, backend) => {
      const isNew = !engine.state.tensorInfo.has(tensor.dataId);
      trackTensor.call(engine, tensor, backend);
      if (!isNew) return;
      if (viewed) {
        // TensorFlow's reshape gives a new handle for the same buffer
        const buffer = live.get(viewed);
        if (!buffer) return;
        buffer.handles++;
        live.set(tensor.dataId, buffer);
        return;
      }
      const size = tensor.size * Float32Array.BYTES_PER_ELEMENT;
      live.set(tensor.dataId, { size, handles: 1 });
      bytes += size;
      peak = Math.max(peak, bytes);
    }),
    jest.spyOn(engine, 'removeDataId').mockImplementation((dataId, backend) => {
      removeDataId.call(engine, dataId, backend);
      const buffer = live.get(dataId);
      live.delete(dataId);
      if (!buffer || --buffer.handles > 0) return;
      bytes -= buffer.size;
    }),
  ];
  try {
    await work();
    return peak;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
