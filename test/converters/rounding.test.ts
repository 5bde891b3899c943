import { Rounding } from '../../converters/rounding.ts';
import { encodeFloat32, LARGEST_FINITE } from '../../src/checkpoint/dtypes.ts';
import { seededIntegers } from '../checkpoint/mutations.ts';

const rounding = new Rounding();
const integer = seededIntegers(7);
const TYPES = ['F16', 'BF16'] as const;

function rounded(bits: Uint32Array, dtype: 'F16' | 'BF16') {
  const halves = new Uint16Array(bits.length);
  const odd = rounding.round(new Float32Array(bits.buffer, bits.byteOffset, bits.length), dtype, halves);
  return { halves, odd };
}

function expected(bits: Uint32Array, dtype: 'F16' | 'BF16') {
  const values = new Float32Array(bits.buffer, bits.byteOffset, bits.length);
  const halves = new Uint16Array(encodeFloat32(values, dtype).slice().buffer);
  return { halves, odd: bits.some((value) => (value & 0x7fffffff) > LARGEST_FINITE[dtype]) };
}

/** Not by toEqual, which takes seconds for so many. */
function firstDifference(bits: Uint32Array, dtype: 'F16' | 'BF16'): string | undefined {
  const [got, wanted] = [rounded(bits, dtype).halves, expected(bits, dtype).halves];
  const at = got.findIndex((half, i) => half !== wanted[i]);
  return at < 0 ? undefined : `${bits[at]?.toString(16)}: ${got[at]?.toString(16)}, not ${wanted[at]?.toString(16)}`;
}

/** The lower bits around every tie of both types, and some others. */
const LOWER = [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x2fff, 0x3000, 0x3001, 0x7fff, 0x8000, 0x8001, 0xffff];

describe.each(TYPES)('Rounding to %s', (dtype) => {
  it.each([...LOWER, 'random'] as const)('is that of encodeFloat32 for all upper halves with %p below', (lower) => {
    const below = () => (lower === 'random' ? integer(0x10000) : lower);
    const bits = Uint32Array.from({ length: 0x10000 }, (_, upper) => upper * 0x10000 + below());
    expect(firstDifference(bits, dtype)).toBeUndefined();
  });

  it('is that of encodeFloat32 at every place where float16 is subnormal', () => {
    const units = Array.from({ length: 4 * 1026 }, (_, quarter) => (quarter / 4) * 2 ** -24);
    const values = Float32Array.from(units.flatMap((unit) => [unit, unit * (1 - 2 ** -24), -unit * (1 + 2 ** -23)]));
    expect(firstDifference(new Uint32Array(values.buffer), dtype)).toBeUndefined();
  });

  it('takes any number of values, and finds an odd one in any place and no other', () => {
    for (const length of [0, 1, 3, 4, 5, 2 ** 18 - 1, 2 ** 18, 2 ** 18 + 1, 2 ** 19 + 6]) {
      const bits = Uint32Array.from({ length }, (_, i) => LARGEST_FINITE[dtype] - (i % 1000));
      expect({ length, ...expected(bits, dtype) }).toMatchObject({ length, odd: rounded(bits, dtype).odd });
      expect(firstDifference(bits, dtype)).toBeUndefined();
      for (const at of [0, length - 1].filter((i) => i >= 0 && i < length)) {
        bits[at] = LARGEST_FINITE[dtype] + 1;
        expect(rounded(bits, dtype).odd).toBe(true);
        bits[at] = 0x80000000;
      }
    }
  });

  it('does not take what was in its memory before for values', () => {
    rounded(new Uint32Array(8).fill(0x7fc00000), dtype);
    expect(rounded(new Uint32Array(5), dtype)).toEqual({ halves: new Uint16Array(5), odd: false });
  });

  it('rounds what lies in its own memory', () => {
    const bits = Uint32Array.from({ length: 1001 }, () => integer(2 ** 32));
    const { scratch } = rounding;
    scratch.set(new Uint8Array(bits.buffer));
    const inside = new Uint32Array(scratch.buffer, 0, bits.length);
    expect(rounded(inside, dtype)).toEqual(expected(bits, dtype));
  });
});
