import { readFileSync } from 'node:fs';
import { readZipIndex } from '../../../converters/formats/zip-index.ts';
import type { ByteSource } from '../../../src/checkpoint/byte-source.ts';
import { FormatError } from '../../../src/errors.ts';
import { bytesSource } from '../../checkpoint/bytes-source.ts';
import { refusals } from '../../checkpoint/mutations.ts';
import { type BuiltEntry, type BuiltZip, zipBytes, zipSource } from './zip-builder.ts';

const two: BuiltEntry[] = [
  { name: 'top/data.pkl', content: 'first' },
  { name: 'top/data/0', content: 'second!', padding: 13 },
];

describe('readZipIndex', () => {
  it('finds the data behind the local headers', async () => {
    const source = zipSource({ entries: two });
    const { root, entries } = await readZipIndex(source);
    expect(root).toBe('top');
    expect([...entries.keys()]).toEqual(['top/data.pkl', 'top/data/0']);
    const { dataOffset, size } = entries.get('top/data/0')!;
    expect(new TextDecoder().decode(await source.read(dataOffset, size))).toBe('second!');
  });

  it('accepts local sizes that are filled in', async () => {
    const entries = [{ name: 'top/a', content: 'abc', localSize: 3 }];
    expect((await readZipIndex(zipSource({ entries }))).entries.size).toBe(1);
  });

  it('reads an index of 9 GB with entries of 5 GB, in small pieces', async () => {
    const source = zipSource({
      entries: [
        { name: 'top/data.pkl', content: 'pickle' },
        { name: 'top/data/0', content: 5 * 2 ** 30 },
        { name: 'top/data/1', content: 4 * 2 ** 30 },
        { name: 'top/data/2', content: 'behind', padding: 50 },
      ],
    });
    const { entries } = await readZipIndex(source);
    expect(entries.get('top/data/0')!.size).toBe(5 * 2 ** 30);
    const { dataOffset, size } = entries.get('top/data/2')!;
    expect(dataOffset).toBeGreaterThan(9 * 2 ** 30);
    expect(new TextDecoder().decode(await source.read(dataOffset, size))).toBe('behind');
    expect(source.largestRead).toBeLessThan(2 ** 20);
  });

  const one = (changes: Partial<BuiltEntry>): BuiltZip => ({
    entries: [{ name: 'top/a', content: 'abc', ...changes }],
  });
  const withSecond = (second: Partial<BuiltEntry>): BuiltZip => ({
    entries: [
      { name: 'top/a', content: 'abc' },
      { name: 'top/b', content: 'def', ...second },
    ],
  });
  it.each<[string, BuiltZip, RegExp]>([
    ['no entries', { entries: [] }, /empty|not as torch/],
    ['compression', one({ method: 8 }), /compressed/],
    ['a size that differs from the stored one', one({ localSize: 2 }), /differs from the directory/],
    ['encryption', one({ flags: 0x0809 }), /encrypted/],
    ['a name without folder', one({ name: 'a' }), /outside the folder/],
    ['a second root', withSecond({ name: 'other/b' }), /outside the folder/],
    ['a root that only begins alike', withSecond({ name: 'top2/b' }), /outside the folder/],
    ['a name twice', withSecond({ name: 'top/a' }), /twice|duplicate/],
    ['a name that climbs', one({ name: 'top/../a' }), /cannot be read|climb/],
    ['an absolute name', one({ name: '/top/a' }), /cannot be read/],
    ['another name in the local header', one({ localName: 'top/b' }), /differs from the directory/],
    ['a longer name in the local header', one({ localName: 'top/abc' }), /differs from the directory/],
    ['two entries with the same bytes', withSecond({ sameHeaderAs: 0, name: 'top/b' }), /differs|overlaps/],
    [
      'an entry that runs into the next',
      { entries: [{ name: 'top/a', content: 'abc', claimedSize: 20 }, two[1]!] },
      /overlaps/,
    ],
    [
      'bytes between entries',
      { entries: [{ name: 'top/a', content: 'a'.repeat(99), claimedSize: 9 }, two[1]!] },
      /unused/,
    ],
    ['bytes before the directory', one({ content: 'a'.repeat(200), claimedSize: 9 }), /unused/],
    ['an entry that runs into the directory', one({ claimedSize: 30 }), /into the directory/],
    ['an entry that ends outside the file', one({ claimedSize: 10_000 }), /truncated/],
    ['junk before', { ...one({}), before: new Uint8Array(10) }, /not as torch writes it/],
    ['junk after', { ...one({}), after: new Uint8Array(10) }, /not as torch writes it|cannot be read/],
    [
      '20,001 entries',
      { entries: Array.from({ length: 20_001 }, (_, i) => ({ name: `top/${i}`, content: '' })) },
      /more than 20000/,
    ],
  ])('refuses %s', async (_, zip, message) => {
    const error = await readZipIndex(zipSource(zip)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
  });

  it('refuses a zip with another in front', async () => {
    const first = await zipBytes(one({}));
    await expect(readZipIndex(zipSource({ ...one({ content: 'xyz' }), before: first }))).rejects.toThrow(FormatError);
    await expect(readZipIndex(zipSource({ ...one({ content: 'xyz' }), after: first }))).rejects.toThrow(FormatError);
  });

  it('refuses a directory that claims gigabytes without reading them', async () => {
    const source = zipSource({ entries: [{ name: 'top/big', content: 2 ** 31 }] });
    const lying: ByteSource = {
      ...source,
      async read(offset, length) {
        const bytes = await source.read(offset, length);
        const at = source.size - 22 + 12 - offset; // the directory's length and offset, in the last record
        if (at >= 0 && at + 8 <= length) new DataView(bytes.buffer).setBigUint64(at, 2n ** 31n, true);
        return bytes;
      },
    };
    await expect(readZipIndex(lying)).rejects.toThrow(/expected a zip directory, got/);
    expect(source.largestRead).toBeLessThan(2 ** 20);
  });

  it('reads or refuses 3,000 damaged copies', async () => {
    const valid = new Uint8Array(readFileSync('test/fixtures/torch/complex128.pt'));
    const refused = await refusals(valid, 3_000, (bytes) => readZipIndex(bytesSource(bytes)));
    expect(refused).toBeGreaterThan(500);
  });
});
