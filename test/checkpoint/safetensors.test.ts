import { readFileSync } from 'node:fs';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { FormatError } from '../../src/errors.ts';
import { bytesSource } from './bytes-source.ts';
import { refusals } from './mutations.ts';

/** A safetensors file with this header and so many bytes of data. */
function file(header: string | Uint8Array, dataBytes: number): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(
    Uint8Array.from({ length: dataBytes }, (_, i) => i),
    8 + text.length,
  );
  return bytes;
}

function entry(begin: number, end: number, shape: unknown = [end - begin], dtype = 'U8'): unknown {
  return { dtype, shape, data_offsets: [begin, end] };
}

describe('openSafetensors', () => {
  it('reads tensors in any order, scalars, empty ones and metadata', async () => {
    const header = {
      __metadata__: { format: 'pt' },
      last: entry(4, 6),
      first: entry(0, 4, [2, 1], 'F16'),
      scalar: entry(6, 10, [], 'F32'),
      empty: entry(6, 6, [0, 2 ** 40, 2 ** 40]),
    };
    const archive = await openSafetensors(bytesSource(file(`${JSON.stringify(header)}  `, 10)));
    expect([...archive.tensors.keys()]).toEqual(['last', 'first', 'scalar', 'empty']);
    expect(archive.metadata).toEqual(new Map([['format', 'pt']]));
    const { dtype, shape, read } = archive.tensors.get('first')!;
    expect({ dtype, shape, bytes: [...(await read())] }).toEqual({ dtype: 'F16', shape: [2, 1], bytes: [0, 1, 2, 3] });
    expect([...(await archive.tensors.get('scalar')!.read())]).toEqual([6, 7, 8, 9]);
    expect(await archive.tensors.get('empty')!.read()).toHaveLength(0);
  });

  it('keeps a tensor called __proto__', async () => {
    const archive = await openSafetensors(bytesSource(file(`{"__proto__":${JSON.stringify(entry(0, 1))}}`, 1)));
    expect([...archive.tensors.keys()]).toEqual(['__proto__']);
  });

  const json = (header: unknown) => JSON.stringify(header);
  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /expected 8 bytes at offset 0/],
    ['a header longer than the file', file('{}', 0).fill(200, 0, 1), /truncated/],
    ['a header of 100 MB and more', file('{}', 0).fill(1, 4, 5), /at most 100000000 bytes/],
    ['a header that is no object', file('[]', 0), /starts with "\{"/],
    ['leading space', file(' {}', 0), /starts with "\{"/],
    ['JSON that ends early', file('{"a":', 0), /expected JSON/],
    ['bytes that are no UTF-8', file(Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 0), /UTF-8/],
    ['a name twice', file(`{"a":${json(entry(0, 1))},"\\u0061":${json(entry(0, 1))}}`, 1), /"a" occurs twice/],
    [
      'a field twice',
      file('{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}', 1),
      /"shape" occurs twice/,
    ],
    ['metadata twice', file('{"__metadata__":{},"__metadata__":{}}', 0), /occurs twice/],
    ['metadata of numbers', file('{"__metadata__":{"a":1}}', 0), /names to strings/],
    ['an entry that is no object', file('{"a":3}', 0), /expected \{dtype, shape, data_offsets\}/],
    ['an unknown type', file(json({ a: entry(0, 1, [1], 'F4') }), 1), /"F4" is not read/],
    ['a type named like a method', file(json({ a: entry(0, 1, [1], 'valueOf') }), 1), /is not read/],
    ['a negative size', file(json({ a: entry(0, 1, [-1, -1]) }), 1), /whole numbers/],
    ['a fractional size', file(json({ a: entry(0, 1, [0.5]) }), 1), /whole numbers/],
    ['a size above 2^53', file(json({ a: entry(0, 1, [2 ** 60]) }), 1), /whole numbers/],
    ['a product above 2^53', file(json({ a: entry(0, 1, [2 ** 30, 2 ** 30]) }), 1), /too large/],
    ['three offsets', file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}', 1), /\[begin, end\]/],
    ['offsets in reverse', file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}', 1), /expected 1 bytes/],
    ['more bytes than the shape', file(json({ a: entry(0, 2, [1]) }), 2), /expected 1 bytes/],
    ['an overlap', file(json({ a: entry(0, 2), b: entry(1, 3) }), 3), /expected to begin at 2/],
    ['a hole', file(json({ a: entry(0, 1), b: entry(2, 3) }), 3), /expected to begin at 1/],
    ['a hole at the start', file(json({ a: entry(1, 2) }), 2), /expected to begin at 0/],
    ['bytes after the last tensor', file(json({ a: entry(0, 1) }), 2), /expected 1 bytes of tensors, got 2/],
    ['a truncated last tensor', file(json({ a: entry(0, 2) }), 1), /expected 2 bytes of tensors, got 1/],
  ])('refuses %s and closes the source', async (_, bytes, message) => {
    const source = bytesSource(bytes);
    const error = await openSafetensors(source).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
    expect(source.closed).toBe(true);
  });

  it('keeps errors short when a file is made of long names', async () => {
    const name = 'x'.repeat(1_000_000);
    await expect(openSafetensors(bytesSource(file(json({ [name]: 3 }), 0)))).rejects.toThrow(/^.{0,400}$/);
  });

  it('takes deep nesting without overflowing', async () => {
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    await expect(openSafetensors(bytesSource(file(deep, 0)))).rejects.toThrow(FormatError);
  });

  it('reads or refuses 10,000 damaged copies', async () => {
    const valid = new Uint8Array(readFileSync('test/fixtures/torch/dtypes.safetensors'));
    const refused = await refusals(valid, 10_000, async (bytes) => {
      const archive = await openSafetensors(bytesSource(bytes));
      for (const tensor of archive.tensors.values()) await tensor.read();
    });
    expect(refused).toBeGreaterThan(5_000);
  });
});
