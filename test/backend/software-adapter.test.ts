import { create, globals } from 'webgpu';
import { SOFTWARE_ADAPTER_RUNS, useSoftwareAdapter } from '../support/software-adapter.ts';
import { unchecked } from '../unchecked.ts';

it('Dawn finds the software adapter, and no other', async () => {
  if (!SOFTWARE_ADAPTER_RUNS) return unchecked('WebGPU: the software adapter is made for Linux on x64');
  await useSoftwareAdapter();
  Object.assign(globalThis, globals);
  const adapter = await create([]).requestAdapter();
  expect(adapter?.info).toMatchObject({ vendor: 'google', architecture: 'swiftshader', isFallbackAdapter: true });
});
