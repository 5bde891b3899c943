import * as tf from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../../src/checkpoint/hold.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { Weights } from '../../src/checkpoint/weights.ts';
import { TorchGenerator } from '../../src/ops/randn.ts';
import { elementCount, type Shape } from '../../src/shape.ts';

/** Normal numbers, none of them zero, the same for a seed. */
export function randomTensor<T extends tf.Tensor>(shape: Shape, seed: number, scale = 1): T {
  return tf.tensor(randomValues(shape, seed, scale), [...shape], 'float32') as T;
}

export function randomValues(shape: Shape, seed: number, scale = 1): Float32Array {
  return new TorchGenerator(seed).randn(elementCount(shape)).map((value) => value * scale);
}

/** A checkpoint in memory with random numbers for each parameter. */
export function randomArchive(shapes: ReadonlyMap<string, Shape>, seed = 1): TensorArchive {
  const tensors = new Map<string, StoredTensor>();
  let drawn = seed;
  for (const [name, shape] of shapes) {
    const values = randomValues(shape, drawn++, 0.2);
    tensors.set(name, { name, dtype: 'F32', shape, read: async () => bytesOf(values) });
  }
  return { name: 'memory', tensors, metadata: new Map(), close: async () => {} };
}

/** Random weights for a layer at the path `layer`. @param dtype of those that are named in `halvable` */
export async function randomWeights(
  shapes: ReadonlyMap<string, Shape>,
  seed = 1,
  dtype: WeightDtype = 'float32',
  halvable: ReadonlySet<string> = new Set(),
): Promise<Weights> {
  const weights = new Weights(
    randomArchive(new Map([...shapes].map(([name, shape]) => [`layer.${name}`, shape])), seed),
  );
  for (const name of shapes.keys()) await weights.load(`layer.${name}`, halvable.has(name) ? dtype : 'float32');
  return weights;
}

/** The same archive with one tensor's bytes or behaviour replaced. */
export function replaceTensor(archive: TensorArchive, name: string, change: Partial<StoredTensor>): TensorArchive {
  const tensor = archive.tensors.get(name);
  if (!tensor) throw new Error(`no ${name} in ${archive.name}`);
  const { dtype, shape } = tensor;
  const changed: StoredTensor = { name, dtype, shape, read: () => tensor.read(), ...change };
  return { ...archive, tensors: new Map([...archive.tensors, [name, changed]]) };
}

export function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
}
