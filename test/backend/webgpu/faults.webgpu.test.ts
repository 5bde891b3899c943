import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../../src/backend/select.ts';
import { readTensor } from '../../../src/device.ts';
import { DeviceError } from '../../../src/errors.ts';
import type { DiTPipeline } from '../../../src/pipelines/dit-pipeline.ts';
import { expectCleanFailure, expectNoLeak } from '../../support/memory.ts';
import { currentDevice } from '../../support/software-adapter.ts';
import { loadTinyPipeline } from '../../support/tiny-dit.ts';

const QUICK = { classLabels: [1], numInferenceSteps: 2, seed: 7 } as const;

const pixels = async (pipe: DiTPipeline) => Array.from((await pipe.generate(QUICK)).images[0]!.data);

/** A product whose shader is no WGSL, as a mistake in a kernel of our own would be: all that it gives is zeros. */
const BROKEN: tf.KernelConfig = {
  kernelName: 'Multiply',
  backendName: 'webgpu',
  kernelFunc: ({ inputs, backend }) => {
    const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    const outputShape = tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const program = {
      variableNames: ['a', 'b'],
      outputShape,
      shaderKey: 'broken',
      dispatchLayout: { x: outputShape.map((_, axis) => axis) },
      dispatch: [1, 1, 1],
      workgroupSize: [64, 1, 1],
      getUserCode: () => 'fn main(index : i32) { this is no WGSL }',
    };
    const { runWebGPUProgram } = backend as { runWebGPUProgram: (...values: unknown[]) => tf.TensorInfo };
    return runWebGPUProgram.call(backend, program, [a, b], 'float32');
  },
};

/** Puts a kernel in the place of another while `work` runs. */
async function withKernel(kernel: tf.KernelConfig, work: () => Promise<void>): Promise<void> {
  const { kernelName, backendName } = kernel;
  const sound = tf.getKernel(kernelName, backendName);
  tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel(kernel);
  try {
    await work();
  } finally {
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel(sound);
  }
}

/** What a device tells on its own, without having to fill its memory. */
function tell(name: 'GPUOutOfMemoryError' | 'GPUInternalError' | 'GPUValidationError'): void {
  const errors = globalThis as unknown as Record<string, new (message: string) => GPUError>;
  const error = new errors[name]!('because');
  currentDevice().dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error }));
}

describe('what goes wrong in the device', () => {
  const large = () => tf.ones([64, 64]); // of fewer values tfjs computes on the CPU

  it('is thrown by the read that would have given zeros, and by no later one', async () => {
    currentDevice().createShaderModule({ code: 'this is no WGSL' });
    const x = tf.tidy(() => tf.add(large(), 1));
    await expect(readTensor(x)).rejects.toThrow(DeviceError);
    expect((await readTensor(x))[0]).toBe(2);
  });

  it.each([
    ['GPUOutOfMemoryError', /^The GPU has no memory left: because\. Make fewer pictures/],
    ['GPUInternalError', /^The GPU's driver failed: because\. Update the driver/],
    ['GPUValidationError', /^The GPU refused a command.*: because\. This is a bug/],
  ] as const)('says what to do about a %s', async (name, message) => {
    tell(name);
    await expect(readTensor(large())).rejects.toThrow(message);
  });
});

describe('a pipeline', () => {
  let pipe: DiTPipeline;
  let before: number[];
  beforeAll(async () => {
    pipe = await loadTinyPipeline('original');
    before = await pixels(pipe);
  });
  afterAll(() => pipe.dispose());

  it('ends with an error, not with a black picture, where a shader is invalid, and works without it', async () => {
    await withKernel(BROKEN, () =>
      expectCleanFailure(() => pipe.generate(QUICK), DeviceError, /refused a command.*[Ss]hader/),
    );
    expect(await pixels(pipe)).toEqual(before);
  });

  it('is not loaded where there is no memory for it', async () => {
    tell('GPUOutOfMemoryError');
    await expectCleanFailure(() => loadTinyPipeline('original'), DeviceError, /no memory left/);
  });

  it('ends with an error where its device is lost in mid-run, and can be loaded again', async () => {
    const loseIt = () => currentDevice().destroy();
    await expectCleanFailure(
      () => pipe.generate({ ...QUICK, onStep: loseIt }),
      DeviceError,
      /^The GPU is lost: .*again/,
    );
    await expect(pipe.generate(QUICK)).rejects.toThrow(/^The GPU is lost/); // until it is
    await useBackend();
    expect(tf.getBackend()).toBe('webgpu');
    await expectNoLeak(async () => {
      const again = await loadTinyPipeline('original');
      expect(await pixels(again)).toEqual(before);
      again.dispose();
    });
  });
});
