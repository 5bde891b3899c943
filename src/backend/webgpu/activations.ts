import type { TensorInfo } from '@tensorflow/tfjs-core';
import { type Call, given } from './kernel.ts';
import { type Components, componentsOf, type GpuBackend, runShader, sizeOf, typeOf } from './shader.ts';

// as in src/ops/activations.ts
const GELU_SCALE = 2 * Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/**
 * `silu(x)` and `gelu(x)` in WGSL. WGSL promises no infinities: where the sigmoid is below every float32 the value is 0
 * without an exponential that overflows.
 */
export function activationCode(components: Components): string {
  const type = typeOf(components);
  return `
fn weigh(x : ${type}, u : ${type}) -> ${type} {
  return select(x / (1.0 + exp(-u)), ${type}(0.0), u < ${type}(-87.0));
}
fn silu(x : ${type}) -> ${type} {
  return weigh(x, x);
}
fn gelu(x : ${type}) -> ${type} {
  return weigh(x, x * (x * x * ${GELU_SCALE * GELU_CUBIC} + ${GELU_SCALE}));
}
`;
}

/** The activation of each element. */
export function activate(backend: GpuBackend, x: TensorInfo, name: 'gelu' | 'silu'): TensorInfo {
  const components = componentsOf(sizeOf(x.shape));
  return runShader(backend, {
    name,
    code: `
${activationCode(components)}
fn main(index : i32) {
  if (index < uniforms.size) {
    result[index] = ${name}(x[index]);
  }
}`,
    inputs: { x: { tensor: x, components } },
    output: { shape: x.shape, components },
    uniforms: {},
  });
}

/** GELU by its tanh approximation. @returns the shape of x */
export function geluKernel(call: Call): TensorInfo {
  return activate(call.backend, given(call, 'x'), 'gelu');
}
