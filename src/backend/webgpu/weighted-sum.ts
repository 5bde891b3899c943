import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sameShape } from '../../shape.ts';
import { type Call, checkShapes, given } from './kernel.ts';
import { componentsOf, type GpuBackend, release, runShader } from './shader.ts';

/** Storage buffers that WebGPU promises every shader, less the one of the result. */
const MOST_PARTS = 7;

/** Σ wᵢ·partᵢ, the weights still on the host. @returns the shape of the parts */
export function weightedSumKernel(call: Call): TensorInfo {
  const { backend, inputs } = call;
  const { weights, ...parts } = inputs;
  const tensors = Object.keys(parts).map((name) => given(call, name));
  const [first] = tensors as [TensorInfo];
  const fits = weights?.shape[0] === tensors.length && tensors.every(({ shape }) => sameShape(shape, first.shape));
  checkShapes('weightedSum', fits, 'tensors of one shape and a weight for each', call);
  const values = backend.readSync(given(call, 'weights').dataId) as Float32Array;
  let terms = tensors.map((tensor, i): Term => ({ tensor, weight: values[i] ?? 0 }));
  let sum: TensorInfo | undefined;
  while (terms.length > 0) {
    const room = sum ? MOST_PARTS - 1 : MOST_PARTS;
    const next: TensorInfo = sumOf(backend, [...(sum ? [{ tensor: sum, weight: 1 }] : []), ...terms.slice(0, room)]);
    if (sum) release(backend, sum);
    [sum, terms] = [next, terms.slice(room)];
  }
  return sum as TensorInfo;
}

interface Term {
  readonly tensor: TensorInfo;
  readonly weight: number;
}

function sumOf(backend: GpuBackend, terms: readonly Term[]): TensorInfo {
  const shape = terms[0]?.tensor.shape ?? [];
  const components = componentsOf(shape.at(-1) ?? 1);
  const products = terms.map((_, i) => `part${i}[index] * uniforms.weight${i}`);
  return runShader(backend, {
    name: 'weightedSum',
    code: `
fn main(index : i32) {
  if (index < uniforms.size) {
    result[index] = ${products.join(' + ')};
  }
}`,
    inputs: Object.fromEntries(terms.map(({ tensor }, i) => [`part${i}`, { tensor, components }])),
    output: { shape, components },
    uniforms: Object.fromEntries(terms.map(({ weight }, i) => [`weight${i}`, { f32: weight }])),
  });
}
