import { getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../../checkpoint/hold.ts';
import { type Shape, sameShape } from '../../shape.ts';
import { activate } from './activations.ts';
import { type Call, checkShapes, given } from './kernel.ts';
import { layerNormModulate } from './layer-norm.ts';
import { product } from './product.ts';
import { release, sizeOf } from './shader.ts';

/**
 * x·kernel + bias, of a normed x where shift and scale are given, then GELU, then what it is added to.
 * @returns [..., out]
 */
export function linearKernel(call: Call): TensorInfo {
  const { backend, inputs, attrs } = call;
  const { bias, shift, scale, residual, gate } = inputs;
  const x = given(call, 'x');
  const outFeatures = outFeaturesOf(call);
  const outputShape = [...x.shape.slice(0, -1), outFeatures];
  const added = !residual || sameShape(residual.shape, outputShape);
  const weighed = !gate || (x.shape.length === 3 && sameShape(gate.shape, [x.shape[0] ?? 0, outFeatures]));
  checkShapes('linear', added && weighed, 'residual [N,T,out] and gate [N,out]', call);
  const normed = shift && scale && layerNormModulate(call, x, { shift, scale });
  const output = product(backend, {
    ...operandsOf(call, normed ?? x),
    bias,
    gelu: attrs.gelu === true,
    residual,
    gate,
    rowsPerSample: x.shape.at(-2) ?? 1,
    outputShape,
  });
  if (normed) release(backend, normed);
  return output;
}

/** The linear of silu(c), cut into `parts`. @returns `parts` of [N,out/parts] */
export function adaLNKernel(call: Call): TensorInfo[] {
  const { backend, inputs, attrs } = call;
  const c = given(call, 'c');
  const outFeatures = outFeaturesOf(call);
  const parts = attrs.parts as number;
  checkShapes(
    'adaLN',
    c.shape.length === 2 && outFeatures % parts === 0,
    `c [N,in] and out a multiple of ${parts}`,
    call,
  );
  const active = activate(backend, c, 'silu');
  const whole = product(backend, {
    ...operandsOf(call, active),
    bias: inputs.bias,
    gelu: false,
    rowsPerSample: 1,
    outputShape: [c.shape[0] ?? 0, outFeatures],
  });
  const cut = getKernel('SplitV', 'webgpu').kernelFunc({
    inputs: { x: whole },
    attrs: { numOrSizeSplits: parts, axis: 1 },
    backend,
  }) as TensorInfo[];
  release(backend, active, whole);
  return cut;
}

function operandsOf(call: Call, x: TensorInfo) {
  const inFeatures = x.shape.at(-1) ?? 0;
  return {
    x,
    rows: sizeOf(x.shape.slice(0, -1)),
    inFeatures,
    outFeatures: outFeaturesOf(call),
    kernel: given(call, 'kernel'),
    dtype: call.attrs.dtype as WeightDtype,
  };
}

/** The width of the output, once the weights have been found to fit. */
function outFeaturesOf(call: Call): number {
  const { shape, dtype } = given(call, 'kernel');
  const x = call.inputs.x ?? given(call, 'c');
  const isHalf = call.attrs.dtype !== 'float32';
  const outFeatures = (shape[1] ?? 0) * (isHalf ? 2 : 1);
  const expected: Shape = [x.shape.at(-1) ?? 0, shape[1] ?? 0];
  const { bias } = call.inputs;
  const fits = sameShape(shape, expected) && (!bias || sameShape(bias.shape, [outFeatures]));
  const held = dtype === (isHalf ? 'int32' : 'float32');
  const kernel = isHalf ? 'kernel [in,out/2] int32' : 'kernel [in,out] float32';
  checkShapes('linear', fits && held, `x [...,in], ${kernel} and bias [out]`, call);
  return outFeatures;
}
