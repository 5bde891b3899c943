/** What the shaders of a product share: their operands, how these are loaded, and what becomes of a sum. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { HalfDtype, WeightDtype } from '../../checkpoint/hold.ts';
import { activationCode } from './activations.ts';
import { type Components, componentsOf, type GpuInput, type Shader } from './shader.ts';

/** Operands of a product, its rows flattened. */
export interface Product {
  /** float32, rows × inFeatures */
  readonly x: TensorInfo;
  readonly rows: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** float32 [in,out]; of 16 bits int32 [in,out/2], the first of two elements in the lower half of a word. */
  readonly kernel: TensorInfo;
  readonly dtype: WeightDtype;
  /** [out] */
  readonly bias?: TensorInfo | undefined;
  readonly gelu: boolean;
  /** rows × outFeatures: what the product is added to. */
  readonly residual?: TensorInfo | undefined;
  /** [N,out]: what the product is weighed by before, each for `rowsPerSample` rows. */
  readonly gate?: TensorInfo | undefined;
  readonly rowsPerSample: number;
  readonly outputShape: readonly number[];
}

/**
 * A shader of the product but for how it sums up. Its code has `rowQuad(row, k)` and `kernelQuad(k, column)`, four elements
 * of an operand from a multiple of four on, zeros where it has none, and `store(row, column, sums)` for four columns.
 */
export function productShader(operands: Product): Omit<Shader, 'workgroups'> {
  const { x, kernel, dtype, bias, residual, gate, gelu, outputShape } = operands;
  const { rows, rowsPerSample, inFeatures, outFeatures } = operands;
  const [inner, outer] = [componentsOf(inFeatures), componentsOf(outFeatures)];
  const ofColumns = (tensor: TensorInfo): GpuInput => ({ tensor, components: outer });
  const parts = Object.entries({ bias, gelu, residual, gate }).flatMap(([name, part]) => (part ? [name] : []));
  return {
    name: [dtype, ...parts].join(' '),
    code: (inner === 4 ? ROW_VECTORS : ROW_ELEMENTS) + kernelCode(dtype, outer) + storeCode(operands, outer),
    inputs: {
      x: { tensor: x, components: inner },
      kernel: { tensor: kernel, components: dtype !== 'float32' && outer === 4 ? 2 : outer },
      ...(bias && { bias: ofColumns(bias) }),
      ...(residual && { residual: ofColumns(residual) }),
      ...(gate && { gate: ofColumns(gate) }),
    },
    output: { shape: outputShape, components: outer },
    uniforms: {
      rows: { i32: rows },
      inFeatures: { i32: inFeatures },
      outFeatures: { i32: outFeatures },
      rowsPerSample: { i32: rowsPerSample },
    },
  };
}

const ROW_VECTORS = `
fn rowQuad(row : i32, k : i32) -> vec4<f32> {
  if (row >= uniforms.rows || k >= uniforms.inFeatures) {
    return vec4<f32>(0.0);
  }
  return x[(row * uniforms.inFeatures + k) / 4];
}
`;

const ROW_ELEMENTS = `
fn rowElement(row : i32, k : i32) -> f32 {
  if (row >= uniforms.rows || k >= uniforms.inFeatures) {
    return 0.0;
  }
  return x[row * uniforms.inFeatures + k];
}
fn rowQuad(row : i32, k : i32) -> vec4<f32> {
  return vec4<f32>(rowElement(row, k), rowElement(row, k + 1), rowElement(row, k + 2), rowElement(row, k + 3));
}
`;

function kernelCode(dtype: WeightDtype, outer: Components): string {
  const quad = dtype === 'float32' ? elementsCode(outer) : `${outer === 4 ? WORDS : WORD_PAIR}${UNPACKED[dtype]}`;
  return `
fn kernelQuad(k : i32, column : i32) -> vec4<f32> {
  if (k >= uniforms.inFeatures || column >= uniforms.outFeatures) {
    return vec4<f32>(0.0);
  }
${quad}
}
`;
}

function elementsCode(outer: Components): string {
  return `
  let at = k * uniforms.outFeatures + column;
  return ${quadOf('kernel', 'at', outer)};`;
}

const WORDS = `
  let words = vec2<u32>(kernel[(k * uniforms.outFeatures + column) / 4]);`;

// the number of columns is even, so that a word is of one row; past the last, it is of no column that is stored
const WORD_PAIR = `
  let at = (k * uniforms.outFeatures + column) / 2;
  let words = vec2<u32>(u32(kernel[at]), u32(kernel[at + 1]));`;

/** WGSL lets an adapter take the subnormal numbers of float16, those below 2^-14, for zeros; SwiftShader does not. */
const UNPACKED: Readonly<Record<HalfDtype, string>> = {
  bfloat16: `
  let halves = vec4<u32>(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u);
  return bitcast<vec4<f32>>(halves);`,
  float16: `
  return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));`,
};

function storeCode({ bias, gelu, residual, gate }: Product, outer: Components): string {
  const sample = '(row / uniforms.rowsPerSample) * uniforms.outFeatures';
  return `
${gelu ? activationCode(4) : ''}
fn store(row : i32, column : i32, sums : vec4<f32>) {
  if (row >= uniforms.rows || column >= uniforms.outFeatures) {
    return;
  }
  let at = row * uniforms.outFeatures + column;
  var value = sums;
  ${bias ? `value = value + ${quadOf('bias', 'column', outer)};` : ''}
  ${gelu ? 'value = gelu(value);' : ''}
  ${gate ? `value = value * ${quadOf('gate', `${sample} + column`, outer)};` : ''}
  ${residual ? `value = ${quadOf('residual', 'at', outer)} + value;` : ''}
  ${outer === 4 ? 'result[at / 4] = value;' : STORE_ELEMENTS}
}
`;
}

function quadOf(name: string, at: string, outer: Components): string {
  if (outer === 4) return `${name}[(${at}) / 4]`;
  return `vec4<f32>(${[0, 1, 2, 3].map((i) => `${name}[${at} + ${i}]`).join(', ')})`;
}

const STORE_ELEMENTS = `
  for (var i = 0; i < min(4, uniforms.outFeatures - column); i = i + 1) {
    result[at + i] = value[i];
  }`;
