import { engine, findBackendFactory, type KernelBackend, registerBackend, removeBackend } from '@tensorflow/tfjs-core';
import { describeAdapter, isSoftware, openAdapter } from '../webgpu/adapter.ts';
import { isLost, isWebGPUBackend, listenForFaults } from '../webgpu/faults.ts';
import { type AbsentBackend, type Backend, type BackendOptions, isNode, makeCurrent, TFJS_VERSION } from './backend.ts';

/** Any GPU: in a browser through the page's WebGPU, in Node through Dawn (npm `webgpu`). */
export const webgpu: Backend = {
  name: 'webgpu',
  onlyByName: isNode, // the only adapter may be a driver that computes on the CPU, far slower than wasm
  findAbsence: async () => (hasGpu() ? undefined : isNode() ? dawnAbsence() : NOT_IN_THIS_BROWSER),
  start: async (options) => {
    if (!isRunning()) await register(options);
    await makeCurrent('webgpu');
  },
  describe: async (running) => {
    const info = isWebGPUBackend(running) ? running.device.adapterInfo : undefined;
    const description = info ? describeAdapter(info) : 'WebGPU';
    return { description, version: TFJS_VERSION, gpu: info === undefined || !isSoftware(info) };
  },
  equip: async (running) => {
    const { loadFusedShaders } = await import('../webgpu/fused-kernels.ts');
    return loadFusedShaders(running);
  },
  listen: (running) => {
    if (isWebGPUBackend(running)) listenForFaults(running);
  },
  isLost,
};

const NOT_IN_THIS_BROWSER: AbsentBackend = {
  name: 'webgpu',
  reason: 'this browser has no WebGPU, or has it for pages served over https only',
};

function hasGpu(): boolean {
  return typeof navigator !== 'undefined' && 'gpu' in navigator && Boolean(navigator.gpu);
}

async function dawnAbsence(): Promise<AbsentBackend | undefined> {
  const { findDawn, runsHere } = await import('#src/backend/webgpu/dawn');
  const dawn = findDawn();
  if (!dawn) return { name: 'webgpu', reason: 'npm webgpu is not installed', command: 'npm install webgpu' };
  if (runsHere(dawn)) return undefined;
  const { platform, arch } = process;
  return { name: 'webgpu', reason: `npm webgpu ${dawn.version} has nothing for ${platform} on ${arch}` };
}

/** Whether tfjs has the backend started, be it by the caller, with a device that is still there. */
function isRunning(): boolean {
  const started: KernelBackend | undefined = engine().registry.webgpu;
  return started !== undefined && !isLost(started);
}

/**
 * A device of our own, with the features and limits that tfjs does not ask for. tfjs asks whether there is a
 * `navigator.gpu` as the backend is made; in Node there is one for as long as that takes, since other libraries take a
 * `navigator` for a sign of a browser.
 */
async function register(options: BackendOptions): Promise<void> {
  const { gpu, advice } = hasGpu() ? { gpu: navigator.gpu, advice: BROWSER_ADVICE } : await throughDawn(options);
  const { device, info } = await openAdapter(gpu, advice);
  const restore = hasGpu() ? () => {} : lendNavigator(gpu);
  try {
    const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
    const made = new WebGPUBackend(device, info);
    if (findBackendFactory('webgpu')) removeBackend('webgpu');
    registerBackend('webgpu', () => made);
  } finally {
    restore();
  }
}

const BROWSER_ADVICE = 'Take the backend wasm, or look at chrome://gpu.';

async function throughDawn({ dawn = [] }: BackendOptions): Promise<{ gpu: GPU; advice: string }> {
  const { dawnOptions, loadDawn, noAdapterAdvice } = await import('#src/backend/webgpu/dawn');
  return { gpu: await loadDawn([...dawnOptions(), ...dawn]), advice: noAdapterAdvice() };
}

/** @returns what takes it away again */
function lendNavigator(gpu: GPU): () => void {
  const owner = typeof navigator === 'undefined' ? globalThis : navigator;
  const [name, value] = typeof navigator === 'undefined' ? ['navigator', { gpu }] : ['gpu', gpu];
  Object.defineProperty(owner, name, { value, configurable: true });
  return () => Reflect.deleteProperty(owner, name);
}
