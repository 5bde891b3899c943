import { readFileSync } from 'node:fs';
import { bytesPerElement, encodeFloat32, isStoredDtype, toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { FormatError } from '../../src/errors.ts';

const rounding: Record<'float32' | 'float16' | 'bfloat16', number[]> = JSON.parse(
  readFileSync('test/fixtures/torch/rounding.json', 'utf8'),
);
const values = new Float32Array(Uint32Array.from(rounding.float32).buffer);
const allHalves = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer);

/** IEEE 754 by definition, slowly. */
function float16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
}

describe('toFloat32', () => {
  it('decodes every float16, subnormal, infinite and NaN ones too', () => {
    const decoded = toFloat32(allHalves, 'F16');
    for (let half = 0; half < 65536; half++) {
      if (!Object.is(decoded[half], float16(half))) throw new Error(`${half}: ${decoded[half]}`);
    }
    expect(decoded).toHaveLength(65536);
  });

  it('decodes bfloat16 as the upper half of a float32', () => {
    const bits = new Uint32Array(toFloat32(allHalves, 'BF16').buffer);
    expect(bits.every((word, half) => word === (half << 16) >>> 0)).toBe(true);
  });

  it.each([
    ['F64', new Float64Array([1.5, -0, 1e300]), [1.5, -0, Number.POSITIVE_INFINITY]],
    ['I64', new BigInt64Array([-1n, 2n ** 40n, -(2n ** 40n) - 7n]), [-1, 2 ** 40, Math.fround(-(2 ** 40) - 7)]],
    ['U64', new BigUint64Array([2n ** 63n]), [2 ** 63]],
    ['I32', new Int32Array([-5]), [-5]],
    ['U32', new Uint32Array([4e9]), [4e9]],
    ['I16', new Int16Array([-5]), [-5]],
    ['U16', new Uint16Array([65535]), [65535]],
    ['I8', new Int8Array([-5]), [-5]],
    ['U8', new Uint8Array([200]), [200]],
    ['BOOL', new Uint8Array([0, 1, 255]), [0, 1, 1]],
    ['F8_E4M3', new Uint8Array([0x38, 0x7e, 0x01, 0xff, 0x80]), [1, 448, 2 ** -9, Number.NaN, -0]],
    [
      'F8_E5M2',
      new Uint8Array([0x3c, 0x7b, 0x01, 0x7c, 0xfd]),
      [1, 57344, 2 ** -16, Number.POSITIVE_INFINITY, Number.NaN],
    ],
  ] as const)('decodes %s', (dtype, stored, expected) => {
    expect([...toFloat32(new Uint8Array(stored.buffer), dtype)]).toEqual([...expected]);
  });

  it.each(['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16'] as const)('reads %s from any byte offset', (dtype) => {
    const aligned = Uint8Array.from({ length: 4 * bytesPerElement(dtype) }, (_, i) => i + 60);
    const shifted = new Uint8Array(aligned.length + 1);
    shifted.set(aligned, 1);
    expect(toFloat32(shifted.subarray(1), dtype)).toEqual(toFloat32(aligned, dtype));
  });

  it('views aligned float32 without a copy', () => {
    const bytes = new Uint8Array(8);
    expect(toFloat32(bytes, 'F32').buffer).toBe(bytes.buffer);
  });

  it('refuses half elements and complex ones', () => {
    expect(() => toFloat32(new Uint8Array(5), 'F32')).toThrow(FormatError);
    expect(() => toFloat32(new Uint8Array(8), 'C64')).toThrow(/complex64/);
  });
});

describe('encodeFloat32', () => {
  it.each([
    ['F16', 'float16', 0x7c00],
    ['BF16', 'bfloat16', 0x7f80],
  ] as const)('rounds to %s as torch does', (dtype, column, infinity) => {
    const encoded = new Uint16Array(encodeFloat32(values, dtype).buffer);
    const isNan = (half: number) => (half & 0x7fff) > infinity;
    rounding[column].forEach((expected, i) => {
      const got = encoded[i]!;
      // The payload of a NaN is not part of the value.
      if (got !== expected && !(isNan(got) && isNan(expected)))
        throw new Error(`${values[i]}: ${got}, not ${expected}`);
    });
    expect(values.length).toBeGreaterThan(200);
  });

  it('gives every float16 back', () => {
    const encoded = new Uint16Array(encodeFloat32(toFloat32(allHalves, 'F16'), 'F16').buffer);
    for (let half = 0; half < 65536; half++) {
      if (!Number.isNaN(float16(half)) && encoded[half] !== half) throw new Error(`${half}: ${encoded[half]}`);
    }
  });

  it('leaves float32 as it is', () => {
    expect([...encodeFloat32(new Float32Array([1]), 'F32')]).toEqual([0, 0, 0x80, 0x3f]);
  });
});

it('knows the names of element types and nothing inherited', () => {
  expect(isStoredDtype('BF16')).toBe(true);
  expect(isStoredDtype('toString')).toBe(false);
});
