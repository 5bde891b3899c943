import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { COMPUTE, type Probe, type ProbeOptions, probe } from '../native/probe.ts';
import { type DawnPackage, dawnOptions } from './dawn.node.ts';

/** What Dawn says of the adapter that it would take. */
export interface AdapterAnswer {
  readonly info: GPUAdapterInfo;
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  /** Whether its shaders compute with 16-bit floats (WebGPU's shader-f16). */
  readonly shaderF16: boolean;
}

/**
 * Lets tfjs multiply two matrices through Dawn in a process of its own: a driver may crash.
 * @returns of one that works without an adapter: null
 */
export function probeDawn(
  { folder }: DawnPackage,
  options: ProbeOptions = {},
): Promise<Probe<{ readonly adapter: AdapterAnswer | null }>> {
  const { resolve } = createRequire(import.meta.url);
  const packages = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-webgpu'].map((name) => resolve(name));
  return probe(DAWN, [pathToFileURL(join(folder, 'index.js')).href, ...packages, ...dawnOptions()], options);
}

const DAWN = `${COMPUTE}
const [, dawn, core, backend, ...options] = process.argv;
import(dawn).then(async ({ create, globals }) => {
  Object.assign(globalThis, globals);
  const gpu = create(options);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return answer({ adapter: null });
  const owner = typeof navigator === 'undefined' ? [globalThis, 'navigator', { gpu }] : [navigator, 'gpu', gpu];
  Object.defineProperty(owner[0], owner[1], { value: owner[2] });
  const tf = require(core);
  require(backend);
  tf.env().set('WEBGPU_CPU_FORWARD', false); // by default tfjs computes so little on the CPU
  if (!(await tf.setBackend('webgpu'))) throw new Error('tfjs could not start it');
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const info = { vendor, architecture, device, description, isFallbackAdapter };
  const shaderF16 = adapter.features.has('shader-f16');
  return compute(tf, () => ({ adapter: { info, maxBufferSize, maxStorageBufferBindingSize, shaderF16 } }));
});`;
