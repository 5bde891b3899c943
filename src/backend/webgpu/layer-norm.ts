import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sameShape } from '../../shape.ts';
import { type Call, checkShapes, given } from './kernel.ts';
import { type Components, componentsOf, runShader, typeOf } from './shader.ts';
import { SUMMING, WORKGROUP_SUM } from './workgroup-sum.ts';

/** LayerNorm, then modulate. @returns [N,T,D] */
export function layerNormModulateKernel(call: Call): TensorInfo {
  const [x, shift, scale] = [given(call, 'x'), given(call, 'shift'), given(call, 'scale')];
  return layerNormModulate(call, x, { shift, scale });
}

/**
 * LayerNorm, then modulate, at the eps of the call.
 * @throws ShapeError
 */
export function layerNormModulate(
  call: Call,
  x: TensorInfo,
  { shift, scale }: { readonly shift: TensorInfo; readonly scale: TensorInfo },
): TensorInfo {
  const [n = 0, tokens = 0, width = 0] = x.shape;
  const fits = x.shape.length === 3 && [shift, scale].every(({ shape }) => sameShape(shape, [n, width]));
  checkShapes('layerNormModulate', fits, 'x [N,T,D], shift [N,D] and scale [N,D]', call);
  const components = componentsOf(width);
  return runShader(call.backend, {
    name: 'layerNormModulate',
    code: shaderCode(components),
    inputs: {
      x: { tensor: x, components },
      shift: { tensor: shift, components },
      scale: { tensor: scale, components },
    },
    output: { shape: x.shape, components },
    uniforms: {
      rows: { i32: n * tokens },
      rowVectors: { i32: width / components },
      tokens: { i32: tokens },
      width: { f32: width },
      eps: { f32: call.attrs.eps as number },
    },
    workgroups: { count: n * tokens, invocations: SUMMING },
  });
}

/** A workgroup a row. Deviations are taken from the mean, as nothing cancels then; the row comes from the cache again. */
function shaderCode(components: Components): string {
  const type = typeOf(components);
  const sumOf = (vector: string) => (components === 4 ? `dot(${vector}, vec4<f32>(1.0))` : vector);
  return `
${WORKGROUP_SUM}
fn main() {
  let row = min(workgroupIndex(), uniforms.rows - 1);
  let first = row * uniforms.rowVectors;
  let own = i32(localIndex);

  var sum = ${type}(0.0);
  for (var i = own; i < uniforms.rowVectors; i = i + ${SUMMING}) {
    sum = sum + x[first + i];
  }
  let mean = workgroupSum(${sumOf('sum')}) / uniforms.width;

  var squares = ${type}(0.0);
  for (var i = own; i < uniforms.rowVectors; i = i + ${SUMMING}) {
    let centred = x[first + i] - mean;
    squares = squares + centred * centred;
  }
  let variance = workgroupSum(${sumOf('squares')}) / uniforms.width;
  let deviation = inverseSqrt(variance + uniforms.eps);

  if (workgroupIndex() < uniforms.rows) {
    let sample = (row / uniforms.tokens) * uniforms.rowVectors;
    for (var i = own; i < uniforms.rowVectors; i = i + ${SUMMING}) {
      let normed = (x[first + i] - mean) * deviation;
      result[first + i] = normed * (scale[sample + i] + 1.0) + shift[sample + i];
    }
  }
}`;
}
