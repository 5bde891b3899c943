import { backend, type KernelBackend } from '@tensorflow/tfjs-core';
import { loadFusedOps } from '../../../src/backend/native/fused-addon.ts';
import { findTfjsNode, hasNativePart } from '../../../src/backend/native/tfjs-node-package.ts';
import { useBackend } from '../../../src/backend/select.ts';
import { BackendError } from '../../../src/errors.ts';
import { fusedKernels } from '../../support/fused.ts';

if (globalThis.DELTA_DIT_BACKEND === 'tensorflow') {
  it('are in use where the report of the backend says so', async () => {
    const { fusedOps } = await useBackend('tensorflow');
    expect(fusedKernels().length).toBe(fusedOps?.instructions === undefined ? 0 : 15);
  });

  it('of another TensorFlow are an error with the remedy, and the process goes on', () => {
    if (fusedKernels().length === 0) return; // noted by test/ops/fused.backend.test.ts
    const other = { binding: { TF_Version: '2.20.0' }, isUsingGpuDevice: false } as unknown as KernelBackend;
    const load = () => loadFusedOps(findTfjsNode().find(hasNativePart), other);
    expect(load).toThrow(BackendError);
    expect(load).toThrow(
      /made for TensorFlow 2\.21\.0, and 2\.20\.0 is running\. Run `rm \S+ && .*setup-native`, or set DELTA_DIT_FUSED=0/,
    );
    expect(loadFusedOps(findTfjsNode().find(hasNativePart), backend())).toHaveProperty('instructions');
  });
} else {
  it('are of TensorFlow only', async () => {
    expect(await useBackend(globalThis.DELTA_DIT_BACKEND)).not.toHaveProperty('fusedOps');
  });
}
