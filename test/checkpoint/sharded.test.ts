import type { ByteSource } from '../../src/checkpoint/byte-source.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { openSharded } from '../../src/checkpoint/sharded.ts';
import type { TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { FileError, FormatError } from '../../src/errors.ts';
import { bytesSource } from './bytes-source.ts';

async function shard(...names: string[]): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const tensors = names.map((name) => ({
    name,
    dtype: 'U8' as const,
    shape: [name.length],
    read: async () => new TextEncoder().encode(name),
  }));
  await writeSafetensors(async (bytes) => void pieces.push(bytes.slice()), tensors);
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

/** A folder in memory that remembers what was opened. */
async function folder(files: Record<string, string[]>) {
  const opened: (ByteSource & { closed: boolean })[] = [];
  const open = async (name: string): Promise<TensorArchive> => {
    const names = files[name];
    if (!names) throw new FileError(`${name}: there is no such file`);
    const source = bytesSource(await shard(...names), name);
    opened.push(source);
    return openSafetensors(source);
  };
  return { open, opened };
}

const index = (weightMap: unknown) => JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap });

describe('openSharded', () => {
  it('finds each tensor in the shard that the index names', async () => {
    const { open, opened } = await folder({ one: ['a', 'bb'], two: ['ccc'] });
    const archive = await openSharded('index', index({ ccc: 'two', a: 'one', bb: 'one' }), open);
    expect([...archive.tensors.keys()]).toEqual(['ccc', 'a', 'bb']);
    expect(new TextDecoder().decode(await archive.tensors.get('ccc')!.read())).toBe('ccc');
    expect(opened).toHaveLength(2);
    await archive.close();
    expect(opened.every((source) => source.closed)).toBe(true);
  });

  it('has the checksums of the shards that have them', async () => {
    const { open } = await folder({ one: ['a'], two: ['b'] });
    const text = index({ a: 'one', b: 'two' });
    expect((await openSharded('index', text, open)).checksums).toEqual([]);
    const checksum = { file: 'two', name: 'b', offset: 8, bytes: 1, crc32: 3 };
    const verified = async (name: string): Promise<TensorArchive> => ({
      ...(await open(name)),
      ...(name === 'two' && { checksums: [checksum] }),
    });
    expect((await openSharded('index', text, verified)).checksums).toEqual([checksum]);
  });

  it.each(['../one', '/etc/passwd', 'sub/one', 'sub\\one', '..', '.', '', 'C:one', 'a\0b'])(
    'refuses the file name %j',
    async (name) => {
      const { open, opened } = await folder({ one: ['a'] });
      await expect(openSharded('index', index({ a: name }), open)).rejects.toThrow(/plain file name/);
      expect(opened).toHaveLength(0);
    },
  );

  it.each([
    ['no JSON', '{', /expected JSON/],
    ['a list', '[]', /JSON object/],
    ['no weight_map', '{}', /weight_map/],
    ['a number for a file', index({ a: 3 }), /expected a file name/],
    ['a tensor twice', '{"weight_map":{"a":"one","a":"two"}}', /"a" occurs twice/],
    [
      'too many files',
      index(Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `f${i}`]))),
      /at most 1000/,
    ],
  ])('refuses an index with %s', async (_, text, message) => {
    const { open } = await folder({ one: ['a'] });
    await expect(openSharded('index', text, open)).rejects.toThrow(message);
  });

  it('lists all missing shards at once and closes those it opened', async () => {
    const { open, opened } = await folder({ one: ['a'] });
    const result = openSharded('index', index({ a: 'one', b: 'two', c: 'three' }), open);
    await expect(result).rejects.toThrow(/2 of 3 files could not be opened: two .*; three /);
    expect(opened.map((source) => source.closed)).toEqual([true]);
  });

  it('lists tensors that are missing and those in another shard together', async () => {
    const { open, opened } = await folder({ one: ['a', 'extra'], two: ['b', 'a'] });
    const error = await openSharded('index', index({ a: 'one', b: 'two', gone: 'two' }), open).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(
      /1 tensors are missing: gone \(in two\).*2 tensors .*: extra \(in one\), a \(in two\)/,
    );
    expect(opened.every((source) => source.closed)).toBe(true);
  });
});
