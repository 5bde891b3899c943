import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core';
import { ShapeError } from '../../errors.ts';
import type { GpuBackend } from './shader.ts';

/** One kernel's call: inputs by name, and the attributes that the seat in src/ops gives. */
export interface Call {
  readonly backend: GpuBackend;
  readonly inputs: Readonly<Record<string, TensorInfo | undefined>>;
  readonly attrs: NamedAttrMap;
}

export type Kernel = (call: Call) => TensorInfo | TensorInfo[];

/** An input that the seat always gives. */
export function given({ inputs }: Call, name: string): TensorInfo {
  return inputs[name] as TensorInfo;
}

/**
 * A shader reads what lies behind an array as zeros, or its last element: shapes are checked before.
 * @throws ShapeError
 */
export function checkShapes(name: string, fits: boolean, expected: string, call: Call): void {
  if (fits) return;
  const got = Object.entries(call.inputs).flatMap(([input, tensor]) => (tensor ? [`${input} [${tensor.shape}]`] : []));
  throw new ShapeError(`${name}: expected ${expected}; got ${got.join(', ')}`);
}
