import { hwioFromOihw, transposed } from '../../converters/key-maps/layouts.ts';
import type { StoredDtype, StoredTensor } from '../../src/checkpoint/stored-tensor.ts';

const DTYPES: readonly [StoredDtype, number][] = [
  ['I8', 1],
  ['BF16', 2],
  ['F32', 4],
  ['F64', 8],
];

/** A matrix whose bytes are all told apart by their place, and what was read of it. */
function matrixOf(dtype: StoredDtype, size: number, rows: number, columns: number) {
  const bytes = Uint8Array.from({ length: rows * columns * size }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
  const reads: number[] = [];
  const tensor: StoredTensor = {
    name: 'weight',
    dtype,
    shape: [rows, columns],
    read: async () => {
      reads.push(rows * columns);
      return bytes.slice();
    },
    readElements: async (start, count) => {
      reads.push(count);
      return bytes.slice(start * size, (start + count) * size);
    },
  };
  const want = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * size;
      want.set(bytes.subarray(from, from + size), (column * rows + row) * size);
    }
  }
  return { tensor, want, reads };
}

describe('transposed', () => {
  it.each(DTYPES)('moves %s elements of %d bytes, in bands that leave little to hold', async (dtype, size) => {
    const { tensor, want, reads } = matrixOf(dtype, size, 83, 45);
    const kernel = transposed('kernel', tensor, 40 * 45 * size);
    expect(kernel).toMatchObject({ name: 'kernel', dtype, shape: [45, 83] });
    expect(Buffer.from(await kernel.read()).equals(want)).toBe(true);
    expect(reads).toEqual([40 * 45, 40 * 45, 3 * 45]);
  });

  it.each([
    [2, 2],
    [2, 46],
    [84, 2],
    [84, 46],
    [84, 45],
    [83, 46],
    [130, 258],
    [132, 258],
    [4, 2],
  ])('turns 4 rows × 2 columns at once where the sides are multiples: %d × %d', async (rows, columns) => {
    const { tensor, want } = matrixOf('F16', 2, rows, columns);
    for (const bandRows of [1, 4, 6, 40, 200]) {
      const kernel = await transposed('kernel', tensor, bandRows * columns * 2).read();
      expect(Buffer.from(kernel).equals(want)).toBe(true);
    }
  });

  it('changes elements before they are moved', async () => {
    const { tensor, want } = matrixOf('I8', 1, 83, 45);
    const negated = transposed('kernel', tensor, 40 * 45).mapElements?.((stored) => ({
      ...stored,
      readElements: async (start, count) =>
        (await tensor.readElements?.(start, count))?.map((byte) => 255 - byte) ?? new Uint8Array(),
    }));
    expect(await negated?.read()).toEqual(want.map((byte) => 255 - byte));
  });

  it('takes one row at least, and a small matrix whole', async () => {
    const { tensor, want, reads } = matrixOf('F32', 4, 3, 5);
    expect(await transposed('kernel', tensor, 1).read()).toEqual(want);
    expect(await transposed('kernel', tensor).read()).toEqual(want);
    expect(reads).toEqual([5, 5, 5, 15]);
  });

  it('reads the whole where pieces cannot be read', async () => {
    const { tensor, want, reads } = matrixOf('BF16', 2, 83, 45);
    const { readElements, ...whole } = tensor;
    expect(readElements).toBeDefined();
    expect(Buffer.from(await transposed('kernel', whole).read()).equals(want)).toBe(true);
    expect(reads).toEqual([83 * 45]);
  });

  it('agrees with the transpose of a 1×1 convolution', async () => {
    const { tensor, want } = matrixOf('F32', 4, 37, 41);
    const hwio = hwioFromOihw('kernel', { ...tensor, shape: [37, 41, 1, 1] });
    expect(hwio.shape).toEqual([1, 1, 41, 37]);
    expect(Buffer.from(await hwio.read()).equals(want)).toBe(true);
  });
});
