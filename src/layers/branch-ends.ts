import type * as tf from '@tensorflow/tfjs-core';
import { geluTanh } from '../ops/activations.ts';
import { joinResidual, layerNormModulate, type ModulatedNorm, type Residual } from '../ops/layer-norm.ts';
import { linear, linearGelu, linearResidual, normLinear, normLinearGelu } from '../ops/linear.ts';
import { type BranchHooks, hookedLinear } from './hooks.ts';
import type { Linear } from './linear.ts';

/** How a residual branch begins and ends, where its layers are to do that too: a backend may fuse it with their linears. */
export interface BranchEnds {
  /** LayerNorm and modulation of the input, before the first linear. */
  readonly norm?: ModulatedNorm | undefined;
  /** What the output is added to, after the last linear. */
  readonly residual?: Residual | undefined;
}

export type BranchOptions = BranchEnds & BranchHooks;

/** The linear that a branch begins with, after its norm. @param x [N,T,D] @returns [N,T,out] */
export function firstLinear(options: BranchOptions, name: string, layer: Linear, x: tf.Tensor3D): tf.Tensor3D {
  const { norm } = options;
  if (options.linear) return hookedLinear(options, name, layer, normed(x, norm));
  return norm ? normLinear(x, norm, layer.operands) : linear(x, layer.operands);
}

/** The same, then geluTanh. */
export function firstLinearGelu(options: BranchOptions, name: string, layer: Linear, x: tf.Tensor3D): tf.Tensor3D {
  const { norm } = options;
  if (options.linear) return geluTanh(hookedLinear(options, name, layer, normed(x, norm)));
  return norm ? normLinearGelu(x, norm, layer.operands) : linearGelu(x, layer.operands);
}

/** The linear that a branch ends with, and what its output is added to. @param y [N,T,in] @returns [N,T,D] */
export function lastLinear(options: BranchOptions, name: string, layer: Linear, y: tf.Tensor3D): tf.Tensor3D {
  const { residual } = options;
  if (options.linear) return joinResidual(hookedLinear(options, name, layer, y), residual);
  return residual ? linearResidual(y, layer.operands, residual) : linear(y, layer.operands);
}

function normed(x: tf.Tensor3D, norm: ModulatedNorm | undefined): tf.Tensor3D {
  return norm ? layerNormModulate(x, norm.shift, norm.scale, norm.eps) : x;
}
