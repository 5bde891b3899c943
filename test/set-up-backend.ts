import { runInThisContext } from 'node:vm';
import { type BackendName, useBackend } from '../src/backend/select.ts';
import { currentDevice, useSoftwareAdapter } from './support/software-adapter.ts';

declare global {
  // Set per project in jest.config.ts.
  var DELTA_DIT_BACKEND: BackendName;
}

// Each test file has classes of its own, while a native part makes arrays of Node's: let both be the same.
Object.assign(
  globalThis,
  runInThisContext(
    '({ Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array })',
  ),
);

beforeAll(async () => {
  if (globalThis.DELTA_DIT_BACKEND === 'webgpu') await useSoftwareAdapter();
  const report = await useBackend(globalThis.DELTA_DIT_BACKEND);
  if (report.name !== globalThis.DELTA_DIT_BACKEND) throw new Error(`Tests would run on ${report.name}.`);
});

afterAll(() => {
  if (globalThis.DELTA_DIT_BACKEND === 'webgpu') currentDevice().destroy(); // with all of this file's tensors
});
