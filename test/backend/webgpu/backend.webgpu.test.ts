import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../../src/backend/select.ts';
import { assertTensorsFit } from '../../../src/device.ts';
import { BackendError } from '../../../src/errors.ts';
import { currentDevice } from '../../support/software-adapter.ts';

describe('the backend webgpu in Node', () => {
  it('names its adapter, and does not take a software one for a GPU', async () => {
    expect(await useBackend('webgpu')).toEqual({
      name: 'webgpu',
      description: expect.stringMatching(/^WebGPU, SwiftShader driver [\d.]+, software$/),
      version: '4.22.0',
      fusedOps: { instructions: 'WGSL' },
      gpu: false,
      dtypes: ['float32', 'bfloat16', 'float16'],
      absent: [],
    });
  });

  it('is refused where a GPU is asked for and there is none', async () => {
    await expect(useBackend('webgpu', { gpu: true })).rejects.toThrow(
      /A GPU was asked for, but there is none for WebGPU, SwiftShader.*, software: it would run on the CPU/,
    );
  });

  it('leaves no navigator behind, which would look like a browser’s', () => {
    expect(typeof navigator === 'undefined' ? undefined : navigator.gpu).toBeUndefined();
  });

  it('has the limits of the adapter, not the least ones', () => {
    expect(currentDevice().limits.maxStorageBufferBindingSize).toBeGreaterThan(128 * 2 ** 20);
  });

  it('keeps its device when it is asked for again, also after another backend', async () => {
    const device = currentDevice();
    const x = tf.tensor1d([1, 2]);
    await useBackend('cpu');
    await useBackend('webgpu');
    expect(currentDevice()).toBe(device);
    expect(Array.from(await tf.add(x, 1).data())).toEqual([2, 3]);
  });

  it('says before it loads a model that one of its tensors does not fit', () => {
    const limit = currentDevice().limits.maxStorageBufferBindingSize;
    const shapes = new Map([
      ['small', [2, 3]],
      ['table', [limit / 4 / 1024 + 1, 1024]],
    ]);
    expect(() => assertTensorsFit('model', shapes)).toThrow(BackendError);
    expect(() => assertTensorsFit('model', shapes)).toThrow(
      /^model: table \[262145, 1024\] takes 1073\.7 MB, and one buffer of this GPU holds 1073\.7 MB at most\. Take/,
    );
    shapes.delete('table');
    expect(() => assertTensorsFit('model', shapes)).not.toThrow();
  });
});

describe('Dawn', () => {
  afterEach(async () => {
    delete process.env.DELTA_DIT_DAWN;
    await useBackend('webgpu');
  });
  const startAgain = (dawn: readonly string[] = []) => {
    currentDevice().destroy();
    tf.removeBackend('webgpu');
    return useBackend('webgpu', { dawn });
  };

  it('takes the adapter that its options name', async () => {
    expect((await startAgain(['adapter=SwiftShader', 'backend=vulkan'])).description).toMatch(/SwiftShader/);
  });

  it('lists the adapters where it has none of the name', async () => {
    process.env.DELTA_DIT_DAWN = 'backend=vulkan; adapter=Voodoo';
    await expect(startAgain()).rejects.toThrow(BackendError);
    await expect(useBackend('webgpu')).rejects.toThrow(/no adapter.*Available adapters: .*'SwiftShader Device/);
  });

  it('says what an adapter needs where there is none', async () => {
    await expect(startAgain(['backend=metal'])).rejects.toThrow(/finds no adapter: no GPU, or no driver.*libvulkan1/);
  });

  it('refuses options that it does not understand', async () => {
    await expect(startAgain(['backend=voodoo'])).rejects.toThrow(
      /finds no adapter: unrecognised backend 'voodoo' Possible backends.*Correct .*DELTA_DIT_DAWN/,
    );
  });
});
