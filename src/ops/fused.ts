import {
  engine,
  getBackend,
  getKernel,
  type NamedAttrMap,
  type NamedTensorMap,
  type Tensor,
} from '@tensorflow/tfjs-core';

/** The ops that a backend may bring a kernel of its own for, by the name that it registers it under. */
export type FusedOp =
  | 'DeltaDitLayerNormModulate'
  | 'DeltaDitGateResidual'
  | 'DeltaDitWeightedSum'
  | 'DeltaDitLinear'
  | 'DeltaDitBlock'
  | 'DeltaDitAdaLN'
  | 'DeltaDitGelu'
  | 'DeltaDitConvert'
  | 'DeltaDitConvertInto'
  | 'DeltaDitConvertRows'
  | 'DeltaDitAllocate'
  | 'DeltaDitSelfAttention'
  | 'DeltaDitCrossAttention'
  | 'DeltaDitAttention'
  | 'DeltaDitGroupMoments'
  | 'DeltaDitNormaliseGroups';

/** Whether the running backend brings a kernel, where preparing a call is not worth it without. */
export function hasFused(name: FusedOp): boolean {
  return getKernel(name, getBackend()) !== undefined;
}

/**
 * Computes an op by the kernel of the running backend. These kernels have no gradients: this library only infers.
 * @param inputs float32; all that are given must not be undefined
 * @returns undefined where the backend has no such kernel, and the op is to be composed
 */
export function runFused<T extends Tensor | Tensor[]>(
  name: FusedOp,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: Readonly<Record<string, number | boolean | string>> = {},
): T | undefined {
  if (!hasFused(name)) return undefined;
  return engine().runKernel(name, inputs as NamedTensorMap, attributes as NamedAttrMap) as T;
}
