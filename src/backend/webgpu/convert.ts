/** Elements in other types. What is not float32 lies in int32 words: of a float32, a GPU may change the bits. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { type Call, given } from './kernel.ts';
import { type GpuBackend, release, runShader, type Shader } from './shader.ts';

// as CODES in src/checkpoint/hold.ts
const TYPES = ['float32', 'float16', 'bfloat16'] as const;
type ElementType = (typeof TYPES)[number];

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

function typeOf({ attrs }: Call, name: 'from' | 'to'): ElementType {
  return TYPES[attrs[name] as number] as ElementType;
}

function perWord(type: ElementType): number {
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

function conversion(words: TensorInfo, from: ElementType, to: ElementType, shape: number[], at = 0): Shader {
  const pair = 'toBfloat16(bitsOf(2 * index)) | (toBfloat16(bitsOf(2 * index + 1)) << 16u)';
  const word = to === 'float32' ? 'bitcast<f32>(bitsOf(index))' : `bitcast<i32>(${pair})`;
  return {
    name: `convert ${from} ${to}`,
    code: `
${BITS[from]}
${to === 'float32' ? '' : TO_BFLOAT16}
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
const BITS: Readonly<Record<ElementType, string>> = {
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

/** The nearest, ties to even; NaN stays NaN. */
const TO_BFLOAT16 = `
fn toBfloat16(bits : u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return (bits >> 16u) | 0x40u;
  }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}`;
