import type { KernelBackend } from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.ts';
import { type Backend, isNode, makeCurrent, TFJS_VERSION } from './backend.ts';

/** Native TensorFlow through tfjs-node or tfjs-node-gpu; the library that it is linked with decides about the GPU. */
export const tensorflow: Backend = {
  name: 'tensorflow',
  findAbsence: async () => {
    if (!isNode()) return { name: 'tensorflow', reason: 'it runs in Node only' };
    const { findTfjsNode, hasNativePart } = await import('../native/tfjs-node-package.ts');
    const { setUpCommand } = await import('../native/set-up-command.ts');
    const packages = findTfjsNode();
    if (packages.some(hasNativePart)) return undefined;
    const installed = packages[0];
    const reason = installed
      ? `${installed.name} in ${installed.folder} has no native part yet`
      : '@tensorflow/tfjs-node is not installed';
    return { name: 'tensorflow', reason, command: setUpCommand(installed?.name) };
  },
  start: async () => {
    const { findTfjsNode, hasNativePart, loadTfjsNode } = await import('../native/tfjs-node-package.ts');
    const { setUpCommand } = await import('../native/set-up-command.ts');
    const failures: string[] = [];
    for (const candidate of findTfjsNode().filter(hasNativePart)) {
      try {
        loadTfjsNode(candidate);
        return await makeCurrent('tensorflow');
      } catch (error) {
        const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
        failures.push(`${candidate.name} in ${candidate.folder} cannot be loaded: ${reason}`);
      }
    }
    throw new BackendError(`${failures.join('. ')}. Run \`${setUpCommand(undefined)}\`.`);
  },
  describe: async (running) => {
    if (!isNodeBackend(running)) return { description: 'TensorFlow', version: TFJS_VERSION, gpu: false };
    const version = running.binding.TF_Version;
    const gpu = running.isUsingGpuDevice;
    return { description: `TensorFlow ${version}, ${gpu ? 'GPU' : 'CPU'}`, version, gpu };
  },
  equip: async (running) => {
    if (!isNodeBackend(running)) return undefined;
    const { findTfjsNode, hasNativePart } = await import('../native/tfjs-node-package.ts');
    const { loadFusedOps } = await import('../native/fused-addon.ts');
    return loadFusedOps(findTfjsNode().find(hasNativePart), running);
  },
};

interface NodeBackend {
  readonly binding: { readonly TF_Version: string };
  readonly isUsingGpuDevice: boolean;
}

function isNodeBackend(running: KernelBackend): running is KernelBackend & NodeBackend {
  return 'binding' in running && 'isUsingGpuDevice' in running;
}
