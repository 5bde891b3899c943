/** Elements in other types. What is not float32 lies in int32 words: of a float32, a GPU may change the bits. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { HalfDtype, WeightDtype } from '../../checkpoint/hold.ts';
import { type Call, given } from './kernel.ts';
import { type GpuBackend, release, runShader, type Shader } from './shader.ts';

// as CODES in src/checkpoint/hold.ts
const TYPES: readonly WeightDtype[] = ['float32', 'float16', 'bfloat16'];

/**
 * @param x [R,C], words of the type `from`: int32, or on the host still, whatever their type
 * @returns [R,·] of `to`: float32, or int32 words
 */
export function convertKernel(call: Call): TensorInfo {
  const x = given(call, 'x');
  const [rows = 0, columns = 0] = x.shape;
  const [from, to] = [typeOf(call, 'from'), typeOf(call, 'to')];
  const shape = [rows, (columns * perWord(from)) / perWord(to)];
  return runOnWords(call.backend, x, (words) => conversion(words, from, to, shape));
}

/** Converts words into the middle of a tensor. @returns that tensor */
export function convertIntoKernel(call: Call): TensorInfo {
  const { backend } = call;
  const [whole, x] = [given(call, 'whole'), given(call, 'x')];
  const at = hostNumber(backend, given(call, 'at'));
  const [from, to] = [typeOf(call, 'from'), typeOf(call, 'to')];
  const count = ((x.shape[0] ?? 0) * perWord(from)) / perWord(to);
  runOnWords(backend, x, (words) => conversion(words, from, to, [count], at), whole);
  const { dataId, shape, dtype } = whole;
  backend.incRef(dataId);
  return { dataId, shape, dtype }; // for tfjs another tensor of the same memory
}

/**
 * Rows of a table as float32. tfjs's own gather of int32 goes through float32, which rounds words.
 * @param x [R,C], words of the type `from` @returns [..., ·] for indices [...]
 */
export function convertRowsKernel(call: Call): TensorInfo {
  const [x, indices] = [given(call, 'x'), given(call, 'indices')];
  const from = typeOf(call, 'from');
  const width = (x.shape[1] ?? 0) * perWord(from);
  return runShader(call.backend, {
    name: `convertRows ${from}`,
    code: `
${BITS[from]}
fn main(index : i32) {
  if (index < uniforms.size) {
    let row = clamp(indices[index / uniforms.width], 0, uniforms.rows - 1);
    result[index] = bitcast<f32>(bitsOf(row * uniforms.width + index % uniforms.width));
  }
}`,
    inputs: { words: { tensor: x }, indices: { tensor: indices } },
    output: { shape: [...indices.shape, width] },
    uniforms: { width: { i32: width }, rows: { i32: x.shape[0] ?? 0 } },
  });
}

/** Room for words of the type `to`, with whatever lies there. @returns [words] */
export function allocateKernel(call: Call): TensorInfo {
  const { backend } = call;
  const dtype = typeOf(call, 'to') === 'float32' ? 'float32' : 'int32';
  const allocated = backend.makeTensorInfo([hostNumber(backend, given(call, 'words'))], dtype);
  backend.uploadToGPU(allocated.dataId);
  return allocated;
}

function typeOf({ attrs }: Call, name: 'from' | 'to'): WeightDtype {
  return TYPES[attrs[name] as number] as WeightDtype;
}

function perWord(type: WeightDtype): number {
  return type === 'float32' ? 1 : 2;
}

/** A number that the seat has just made: nothing has taken it to the GPU. */
function hostNumber(backend: GpuBackend, scalar: TensorInfo): number {
  return (backend.readSync(scalar.dataId) as Int32Array)[0] ?? 0;
}

/** What lies on the host is seen as int32 before it is uploaded. */
function runOnWords(
  backend: GpuBackend,
  x: TensorInfo,
  shader: (words: TensorInfo) => Shader,
  output?: TensorInfo,
): TensorInfo {
  const { values } = backend.tensorMap.get(x.dataId);
  if (!ArrayBuffer.isView(values)) return runShader(backend, shader(x), output);
  const seen = new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4);
  const words = backend.makeTensorInfo(x.shape, 'int32', seen);
  const result = runShader(backend, shader(words), output);
  release(backend, words);
  return result;
}

/** Words of one type are copied as they are. */
function conversion(words: TensorInfo, from: WeightDtype, to: WeightDtype, shape: number[], at = 0): Shader {
  const isCopy = from === to;
  const pair = 'rounded(bitsOf(2 * index)) | (rounded(bitsOf(2 * index + 1)) << 16u)';
  const bits = isCopy ? 'words[index]' : to === 'float32' ? 'bitsOf(index)' : pair;
  const word = `bitcast<${to === 'float32' ? 'f32' : 'i32'}>(${bits})`;
  return {
    name: `convert ${from} ${to}`,
    code: `
${isCopy ? '' : BITS[from]}
${isCopy || to === 'float32' ? '' : ROUNDED[to]}
fn main(index : i32) {
  if (index < uniforms.size) {
    result[uniforms.start + index] = ${word};
  }
}`,
    inputs: { words: { tensor: words } },
    output: { shape, dtype: to === 'float32' ? 'float32' : 'int32' },
    uniforms: { start: { i32: at } },
  };
}

/** `bitsOf(i)`: element i as the bits of a float32. */
const BITS: Readonly<Record<WeightDtype, string>> = {
  float32: `
fn bitsOf(i : i32) -> u32 {
  return bitcast<u32>(words[i]);
}`,
  bfloat16: `
fn bitsOf(i : i32) -> u32 {
  let word = bitcast<u32>(words[i / 2]);
  return select(word << 16u, word & 0xffff0000u, i % 2 == 1);
}`,
  // subnormal ones are whole multiples of 2^-24, which float32 has as normal numbers
  float16: `
fn bitsOf(i : i32) -> u32 {
  let word = bitcast<u32>(words[i / 2]);
  let element = select(word & 0xffffu, word >> 16u, i % 2 == 1);
  let sign = (element & 0x8000u) << 16u;
  let magnitude = element & 0x7fffu;
  if (magnitude >= 0x7c00u) {
    return sign | 0x7f800000u | (magnitude << 13u);
  }
  if (magnitude < 0x400u) {
    return sign | bitcast<u32>(f32(magnitude) * ${2 ** -24});
  }
  return sign | ((magnitude << 13u) + 0x38000000u);
}`,
};

/** `rounded(bits)`: the element nearest to a float32, ties to even, as bits; NaN stays NaN. */
const ROUNDED: Readonly<Record<HalfDtype, string>> = {
  bfloat16: `
fn rounded(bits : u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return (bits >> 16u) | 0x40u;
  }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}`,
  // WGSL's own pack2x16float may round either way. From 65,520 on they are infinite; below 2^-14 they count units of 2^-24
  float16: `
fn withoutLowest(bits : u32, count : u32) -> u32 {
  return (bits + (1u << (count - 1u)) - 1u + ((bits >> count) & 1u)) >> count;
}
fn rounded(bits : u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u;
  }
  if (magnitude >= 0x477ff000u) {
    return sign | 0x7c00u;
  }
  if (magnitude >= 0x38800000u) {
    return sign | withoutLowest(magnitude - 0x38000000u, 13u);
  }
  let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  return sign | withoutLowest(mantissa, min(126u - (magnitude >> 23u), 25u));
}`,
};
