import { TFJS_VERSION } from '../backends/backend.ts';
import type { ProbeOptions } from '../native/probe.ts';
import { describeAdapter, isSoftware } from '../webgpu/adapter.ts';
import { dawnOptions, findDawn, noAdapterAdvice, runsHere } from '../webgpu/dawn.node.ts';
import { SHADER_DTYPES } from '../webgpu/fused-kernels.ts';
import { type AdapterAnswer, probeDawn } from '../webgpu/probe.ts';
import type { BackendCheck } from './backends.ts';
import { OK } from './finding.ts';

/** Dawn and its adapter, as the backend `webgpu` would take it here. */
export async function checkWebGPU(options: ProbeOptions): Promise<BackendCheck> {
  const about = { backend: 'webgpu', package: 'webgpu' } as const;
  const dawn = findDawn();
  if (!dawn) {
    const problem = 'is not installed: `npm install webgpu` brings it, for GPUs of any make';
    return { ...about, status: 'absent', problem };
  }
  const { version, folder } = dawn;
  const found = { ...about, version, folder };
  if (!runsHere(dawn)) {
    return { ...found, status: 'absent', problem: `has nothing for ${process.platform} on ${process.arch}` };
  }
  const probe = await probeDawn(dawn, options);
  if (!probe.works) {
    const fix = `${dawnOptions().length > 0 ? 'Correct DELTA_DIT_DAWN, or take' : 'Take'} another backend.`;
    return { ...found, status: 'failed', problem: `does not work: ${probe.reason}`, fix };
  }
  const { adapter } = probe;
  if (!adapter) return { ...found, status: 'absent', problem: `finds no adapter. ${noAdapterAdvice()}` };
  const { info } = adapter;
  const description = [describeAdapter(info), ...factsOf(adapter)].join('; ');
  return {
    ...found,
    ...OK,
    description,
    library: TFJS_VERSION,
    gpu: !isSoftware(info),
    adapter,
    dtypes: SHADER_DTYPES,
  };
}

function factsOf({ maxBufferSize, maxStorageBufferBindingSize, shaderF16 }: AdapterAnswer): string[] {
  const largest = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  return [
    `tensors up to ${Math.floor(largest / 1e6)} MB`,
    `weights in ${SHADER_DTYPES.join(' or ')} (--dtype)`,
    shaderF16 ? 'with 16-bit arithmetic (shader-f16)' : 'without 16-bit arithmetic (the adapter has no shader-f16)',
    'asked for with --backend webgpu',
  ];
}
