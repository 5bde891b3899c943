import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sameShape } from '../../shape.ts';
import { type Call, checkShapes, given } from './kernel.ts';
import { componentsOf, runShader } from './shader.ts';

/** x + gate·raw. @returns [N,T,D] */
export function gateResidualKernel(call: Call): TensorInfo {
  const [x, raw, gate] = [given(call, 'x'), given(call, 'raw'), given(call, 'gate')];
  const [n = 0, tokens = 0, width = 0] = x.shape;
  const fits = x.shape.length === 3 && sameShape(raw.shape, x.shape) && sameShape(gate.shape, [n, width]);
  checkShapes('gateResidual', fits, 'x [N,T,D], raw [N,T,D] and gate [N,D]', call);
  const components = componentsOf(width);
  return runShader(call.backend, {
    name: 'gateResidual',
    code: `
fn main(index : i32) {
  if (index < uniforms.size) {
    let sample = index / uniforms.sampleVectors;
    let column = index % uniforms.rowVectors;
    result[index] = x[index] + raw[index] * gate[sample * uniforms.rowVectors + column];
  }
}`,
    inputs: { x: { tensor: x, components }, raw: { tensor: raw, components }, gate: { tensor: gate, components } },
    output: { shape: x.shape, components },
    uniforms: { sampleVectors: { i32: (tokens * width) / components }, rowVectors: { i32: width / components } },
  });
}
