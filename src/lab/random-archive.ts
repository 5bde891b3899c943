import type { StoredTensor, TensorArchive } from '../checkpoint/stored-tensor.ts';
import { elementCount, type Shape } from '../shape.ts';

/** A checkpoint in memory whose tensors are drawn when they are read. */
export function randomArchive(shapes: ReadonlyMap<string, Shape>): TensorArchive {
  const tensors = [...shapes].map(([name, shape], i) => [name, randomTensor(name, shape, i + 1)] as const);
  return { name: 'random weights', tensors: new Map(tensors), metadata: new Map(), close: async () => {} };
}

/** Numbers are drawn when they are read, and are the same each time. */
export function randomTensor(name: string, shape: Shape, seed: number): StoredTensor {
  return { name, dtype: 'F32', shape, read: async () => new Uint8Array(randomWeights(shape, seed).buffer) };
}

/** As large as trained ones: tables and kernels [inputs…, outputs] of variance 1/inputs, the rest about 0.02. */
const VECTOR_STD = 0.02;

/**
 * Uniform numbers around 0 by xorshift32 (Marsaglia 2003, shifts 13, 17, 5): some times faster than normal ones, and
 * time depends on neither.
 */
function randomWeights(shape: Shape, seed: number): Float32Array<ArrayBuffer> {
  const std = shape.length > 1 ? 1 / Math.sqrt(elementCount(shape.slice(0, -1))) : VECTOR_STD;
  const scale = (std * Math.sqrt(12)) / 2 ** 32;
  const values = new Float32Array(elementCount(shape));
  let state = Math.imul(seed, 0x9e3779b1); // spreads neighbouring seeds; odd, so never 0
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = state * scale;
  }
  return values;
}
