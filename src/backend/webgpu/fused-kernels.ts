import { getKernel, type KernelBackend, type KernelConfig, registerKernel } from '@tensorflow/tfjs-core';
import { declareHolding, type WeightDtype } from '../../checkpoint/hold.ts';
import type { FusedOp } from '../../ops/fused.ts';
import type { FusedOpsReport } from '../backends/backend.ts';
import { geluKernel } from './activations.ts';
import { attentionKernel, crossAttentionKernel, selfAttentionKernel } from './attention.ts';
import { allocateKernel, convertIntoKernel, convertKernel, convertRowsKernel } from './convert.ts';
import { gateResidualKernel } from './gate-residual.ts';
import { groupMomentsKernel, normaliseGroupsKernel } from './group-norm.ts';
import type { Kernel } from './kernel.ts';
import { layerNormModulateKernel } from './layer-norm.ts';
import { adaLNKernel, linearKernel } from './linear.ts';
import { weightedSumKernel } from './weighted-sum.ts';

/** How these shaders take weights: WGSL unpacks the elements of a word on every adapter, also without shader-f16. */
export const SHADER_DTYPES: readonly WeightDtype[] = ['float32', 'bfloat16', 'float16'];

/** What stands behind seats in src/ops: shaders of ours. */
const KERNELS: Readonly<Partial<Record<FusedOp, Kernel>>> = {
  DeltaDitLayerNormModulate: layerNormModulateKernel,
  DeltaDitGateResidual: gateResidualKernel,
  DeltaDitWeightedSum: weightedSumKernel,
  DeltaDitLinear: linearKernel,
  DeltaDitAdaLN: adaLNKernel,
  DeltaDitGelu: geluKernel,
  DeltaDitConvert: convertKernel,
  DeltaDitConvertInto: convertIntoKernel,
  DeltaDitConvertRows: convertRowsKernel,
  DeltaDitAllocate: allocateKernel,
  DeltaDitSelfAttention: selfAttentionKernel,
  DeltaDitCrossAttention: crossAttentionKernel,
  DeltaDitAttention: attentionKernel,
  DeltaDitGroupMoments: groupMomentsKernel,
  DeltaDitNormaliseGroups: normaliseGroupsKernel,
};

/** Offers the shaders to the seats, once. @returns undefined where the running backend is not tfjs' WebGPU backend */
export function loadFusedShaders(running: KernelBackend): FusedOpsReport | undefined {
  if (!('runWebGPUProgram' in running)) return undefined;
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    if (getKernel(kernelName, 'webgpu')) continue;
    const kernelFunc = kernel as unknown as KernelConfig['kernelFunc'];
    registerKernel({ kernelName, backendName: 'webgpu', kernelFunc });
  }
  declareHolding(running, { dtypes: SHADER_DTYPES, preferred: 'float32' });
  return { instructions: 'WGSL' };
}
