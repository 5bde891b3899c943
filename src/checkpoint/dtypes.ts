import { FormatError } from '../errors.ts';
import type { StoredDtype } from './stored-tensor.ts';

const BYTES_PER_ELEMENT: Readonly<Record<StoredDtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  C64: 8,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

/** PyTorch's names of the element types that have a safetensors name. */
export const TORCH_DTYPES: ReadonlyMap<string, StoredDtype> = new Map([
  ['float64', 'F64'],
  ['float32', 'F32'],
  ['float16', 'F16'],
  ['bfloat16', 'BF16'],
  ['float8_e4m3fn', 'F8_E4M3'],
  ['float8_e5m2', 'F8_E5M2'],
  ['complex64', 'C64'],
  ['int64', 'I64'],
  ['int32', 'I32'],
  ['int16', 'I16'],
  ['int8', 'I8'],
  ['uint64', 'U64'],
  ['uint32', 'U32'],
  ['uint16', 'U16'],
  ['uint8', 'U8'],
  ['bool', 'BOOL'],
]);

/** The storage classes that name the element type of a tensor in `torch.save` files. */
export const TORCH_STORAGES: ReadonlyMap<string, StoredDtype> = new Map([
  ['DoubleStorage', 'F64'],
  ['FloatStorage', 'F32'],
  ['HalfStorage', 'F16'],
  ['BFloat16Storage', 'BF16'],
  ['ComplexFloatStorage', 'C64'],
  ['LongStorage', 'I64'],
  ['IntStorage', 'I32'],
  ['ShortStorage', 'I16'],
  ['CharStorage', 'I8'],
  ['ByteStorage', 'U8'],
  ['BoolStorage', 'BOOL'],
]);

/** The types that weights are stored and held in, as files name them. */
export const STORED_AS = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const;

export function isStoredDtype(name: string): name is StoredDtype {
  return Object.hasOwn(BYTES_PER_ELEMENT, name);
}

export function bytesPerElement(dtype: StoredDtype): number {
  return BYTES_PER_ELEMENT[dtype];
}

/**
 * Stored elements as float32. F32 bytes that are aligned are viewed, not copied. Integers beyond 2^24 and F64 are rounded.
 * @throws FormatError when the bytes are no whole number of elements, or complex.
 */
export function toFloat32(bytes: Uint8Array, dtype: StoredDtype): Float32Array {
  const size = bytesPerElement(dtype);
  if (bytes.length % size !== 0) {
    throw new FormatError(
      `expected a multiple of ${size} bytes for ${dtype} elements, got ${bytes.length}; get the file again`,
    );
  }
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const count = bytes.length / size;
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, count);
    case 'F16':
      return decodeFloat16(new Uint16Array(buffer, byteOffset, count));
    case 'BF16':
      return decodeBfloat16(new Uint16Array(buffer, byteOffset, count));
    case 'F8_E4M3':
      return decodeByTable(bytes, float8E4M3);
    case 'F8_E5M2':
      return decodeFloat16(Uint16Array.from(bytes, (byte) => byte << 8)); // the upper half of a float16
    case 'F64':
      return new Float32Array(new Float64Array(buffer, byteOffset, count));
    case 'I64':
    case 'U64':
      return decodeInt64(new Uint32Array(buffer, byteOffset, 2 * count), dtype === 'I64');
    case 'I32':
      return new Float32Array(new Int32Array(buffer, byteOffset, count));
    case 'U32':
      return new Float32Array(new Uint32Array(buffer, byteOffset, count));
    case 'I16':
      return new Float32Array(new Int16Array(buffer, byteOffset, count));
    case 'U16':
      return new Float32Array(new Uint16Array(buffer, byteOffset, count));
    case 'I8':
      return new Float32Array(new Int8Array(buffer, byteOffset, count));
    case 'U8':
      return new Float32Array(bytes);
    case 'BOOL':
      return Float32Array.from(bytes, (byte) => (byte === 0 ? 0 : 1));
    case 'C64':
      throw new FormatError('complex64 elements have no float32 value; drop the imaginary part before saving');
  }
}

/**
 * Float values in a storage type, each rounded to the nearest, ties to even; what is too large becomes infinite.
 * @param into as many bytes or more at an even offset, which are used where elements are rounded
 */
export function encodeFloat32(values: Float32Array, dtype: 'F32' | 'F16' | 'BF16', into?: Uint8Array): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const rounded = into ? new Uint16Array(into.buffer, into.byteOffset, values.length) : new Uint16Array(values.length);
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length); // signed: no float64 in the arithmetic
  if (dtype === 'F16') roundToFloat16(bits, rounded);
  else roundToBfloat16(bits, rounded);
  return new Uint8Array(rounded.buffer, rounded.byteOffset, rounded.byteLength);
}

/** The largest finite values, as bits of a float32: 65504 is that of float16. */
export const LARGEST_FINITE = { F32: 0x7f7fffff, BF16: 0x7f7fffff, F16: 0x477fe000 } as const;

function roundToBfloat16(bits: Int32Array, rounded: Uint16Array): void {
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] as number;
    const isNumber = (value & 0x7fffffff) <= LARGEST_FINITE.BF16;
    rounded[i] = isNumber ? (value + 0x7fff + ((value >>> 16) & 1)) >>> 16 : bfloat16Bits(value);
  }
}

function roundToFloat16(bits: Int32Array, rounded: Uint16Array): void {
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] as number;
    const magnitude = value & 0x7fffffff;
    if (magnitude >= SMALLEST_NORMAL && magnitude <= LARGEST_FINITE.F16)
      rounded[i] = ((value >>> 16) & 0x8000) | ((magnitude - REBIAS + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    else rounded[i] = float16Bits(value);
  }
}

function decodeBfloat16(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

function decodeFloat16(halves: Uint16Array): Float32Array {
  const table = float16Table();
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = table[halves[i] as number] as number;
  return new Float32Array(bits.buffer);
}

let float16Values: Uint32Array | undefined;

/** Every float16 as the bits of a float32: looking them up takes half the time of computing them. */
function float16Table(): Uint32Array {
  if (float16Values) return float16Values;
  const bits = Uint32Array.from({ length: 2 ** 16 }, (_, half) => {
    const sign = (half & 0x8000) << 16;
    const magnitude = half & 0x7fff;
    if (magnitude >= 0x7c00) return sign | 0x7f800000 | (magnitude << 13); // infinity and NaN keep their mantissa
    const value =
      magnitude < 0x400 ? magnitude * 2 ** -24 : (1024 + (magnitude & 0x3ff)) * 2 ** ((magnitude >> 10) - 25);
    return sign | (new Uint32Array(Float32Array.of(value).buffer)[0] as number);
  });
  float16Values = bits;
  return bits;
}

function decodeByTable(bytes: Uint8Array, decode: (byte: number) => number): Float32Array {
  const table = Float32Array.from({ length: 256 }, (_, byte) => decode(byte));
  const values = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) values[i] = table[bytes[i] as number] as number;
  return values;
}

/** 1 sign, 4 exponent (bias 7), 3 mantissa bits, no infinity, NaN only where all are set (Micikevicius et al. 2022). */
function float8E4M3(byte: number): number {
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte >> 3) & 15;
  const mantissa = byte & 7;
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10));
}

function decodeInt64(words: Uint32Array, signed: boolean): Float32Array {
  const values = new Float32Array(words.length / 2);
  for (let i = 0; i < values.length; i++) {
    const high = words[2 * i + 1] as number;
    values[i] = (signed ? high | 0 : high) * 2 ** 32 + (words[2 * i] as number);
  }
  return values;
}

/** 2^-14 of float16 as bits of a float32, and what its exponent's bias is less. */
const SMALLEST_NORMAL = 0x38800000;
const REBIAS = 0x38000000;

/** The bfloat16 of an infinity or a NaN, both as bits; NaN stays NaN. */
function bfloat16Bits(bits: number): number {
  return (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : bits >>> 16;
}

/** The float16 nearest to a float32, both as bits; NaN stays NaN. */
function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65,520 and above round to infinity
  if (magnitude >= SMALLEST_NORMAL) {
    const rebiased = magnitude - REBIAS;
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  const shift = 126 - (magnitude >>> 23); // subnormal: count units of 2^-24
  if (shift > 24) return sign; // at most 2^-25, which ties to zero
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const rest = mantissa & ((1 << shift) - 1);
  const units = mantissa >>> shift;
  const half = 1 << (shift - 1);
  return sign | (units + (rest > half || (rest === half && (units & 1) === 1) ? 1 : 0));
}
