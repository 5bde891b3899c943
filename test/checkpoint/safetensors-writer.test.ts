import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredDtype, StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { FormatError, OptionError } from '../../src/errors.ts';
import { bytesSource } from './bytes-source.ts';

function tensor(name: string, dtype: StoredDtype, shape: number[], bytes: number[]): StoredTensor {
  return { name, dtype, shape, read: async () => Uint8Array.from(bytes) };
}

async function written(tensors: StoredTensor[], metadata?: Map<string, string>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await writeSafetensors(async (bytes) => void pieces.push(bytes.slice()), tensors, metadata);
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

const some = [
  tensor('z', 'F32', [2], [1, 2, 3, 4, 5, 6, 7, 8]),
  tensor('10', 'F16', [1], [9, 10]),
  tensor('2', 'U8', [], [11]),
  tensor('empty', 'U8', [0, 3], []),
];

describe('writeSafetensors', () => {
  it('writes what openSafetensors reads', async () => {
    const metadata = new Map([['kind', 'test "quoted" ü']]);
    const archive = await openSafetensors(bytesSource(await written(some, metadata)));
    expect(archive.metadata).toEqual(metadata);
    for (const { name, dtype, shape, read } of some) {
      const got = archive.tensors.get(name)!;
      expect({ dtype: got.dtype, shape: got.shape, bytes: await got.read() }).toEqual({
        dtype,
        shape,
        bytes: await read(),
      });
    }
  });

  it('keeps the order given, also of names that are numbers, and pads the header to 8 bytes', async () => {
    const bytes = await written(some);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    expect(header.trimEnd()).toBe(
      '{"z":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"10":{"dtype":"F16","shape":[1],"data_offsets":[8,10]},' +
        '"2":{"dtype":"U8","shape":[],"data_offsets":[10,11]},"empty":{"dtype":"U8","shape":[0,3],"data_offsets":[11,11]}}',
    );
    expect(length % 8).toBe(0);
    expect(bytes).toHaveLength(8 + length + 11);
  });

  it('reads each tensor only when the one before it is written', async () => {
    const events: string[] = [];
    const noted = ['a', 'b'].map((name) => ({
      ...tensor(name, 'U8', [1], [0]),
      read: async () => {
        events.push(`read ${name}`);
        return new Uint8Array(1);
      },
    }));
    await writeSafetensors(async () => void events.push('write'), noted);
    expect(events).toEqual(['write', 'read a', 'write', 'read b', 'write']);
  });

  it.each([
    ['a name twice', [tensor('a', 'U8', [1], [0]), tensor('a', 'U8', [1], [0])], OptionError, /used twice/],
    ['the name of the metadata', [tensor('__metadata__', 'U8', [1], [0])], OptionError, /used twice/],
    [
      'an offset PyTorch cannot view',
      [tensor('a', 'U8', [1], [0]), tensor('b', 'F32', [1], [0, 0, 0, 0])],
      OptionError,
      /larger element types first/,
    ],
    ['too few bytes', [tensor('a', 'F32', [1], [0])], FormatError, /expected 4 bytes/],
  ] as const)('refuses %s', async (_, tensors, kind, message) => {
    const error = await written([...tensors]).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(message);
  });
});
