import { gatherRows } from '../../src/checkpoint/gather-rows.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { bytesSource } from './bytes-source.ts';

const VALUES = Float32Array.from({ length: 12 }, (_, i) => i / 2); // [4,3]
const MATRIX: StoredTensor = {
  name: 'table',
  dtype: 'F32',
  shape: [4, 3],
  read: async () => new Uint8Array(VALUES.buffer),
};
const ROWS = [3, 0, 3, 2];
const EXPECTED = new Map([
  [3, new Float32Array([4.5, 5, 5.5])],
  [0, new Float32Array([0, 0.5, 1])],
  [2, new Float32Array([3, 3.5, 4])],
]);

describe('gatherRows', () => {
  it('reads the rows it needs, each once, where pieces can be read', async () => {
    const pieces: Uint8Array[] = [];
    const other: StoredTensor = { ...MATRIX, name: 'before', shape: [2, 6] };
    await writeSafetensors(async (bytes) => void pieces.push(bytes.slice()), [other, MATRIX]);
    const source = bytesSource(Buffer.concat(pieces));
    const archive = await openSafetensors(source);
    const read = jest.spyOn(source, 'read');
    expect(await gatherRows(archive.tensors.get('table')!, ROWS)).toEqual(EXPECTED);
    expect(read.mock.calls.map(([, length]) => length)).toEqual([12, 12, 12]);
  });

  it('reads the matrix once where it can only be read whole', async () => {
    const read = jest.fn(MATRIX.read);
    expect(await gatherRows({ ...MATRIX, read }, ROWS)).toEqual(EXPECTED);
    expect(read).toHaveBeenCalledTimes(1);
  });

  it('decodes 16-bit rows', async () => {
    const halves = Uint16Array.from([0x3f80, 0x4000, 0xc040, 0x3f00]); // bfloat16 1, 2, −3, 0.5
    const matrix: StoredTensor = {
      ...MATRIX,
      dtype: 'BF16',
      shape: [2, 2],
      read: async () => new Uint8Array(halves.buffer),
    };
    expect(await gatherRows(matrix, [1])).toEqual(new Map([[1, new Float32Array([-3, 0.5])]]));
  });
});
