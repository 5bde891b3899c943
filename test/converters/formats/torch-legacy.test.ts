import { readFileSync } from 'node:fs';
import { flattenTensors } from '../../../converters/formats/flatten-tensors.ts';
import type { TorchFile } from '../../../converters/formats/torch-file.ts';
import { openTorchLegacy } from '../../../converters/formats/torch-legacy.ts';
import { toFloat32 } from '../../../src/checkpoint/dtypes.ts';
import { FormatError } from '../../../src/errors.ts';
import { bytesSource } from '../../checkpoint/bytes-source.ts';
import { refusals } from '../../checkpoint/mutations.ts';
import { op, pickle } from './pickle-builder.ts';
import { described, type TorchValue } from './torch-files.ts';

const read = (name: string) => new Uint8Array(readFileSync(`test/fixtures/torch/${name}`));
const values: Record<string, Record<string, TorchValue>> = JSON.parse(
  readFileSync('test/fixtures/torch/values.json', 'utf8'),
);

/** All tensors of a file, without the unwrapping of a state dict. */
function everyTensor(file: TorchFile) {
  return flattenTensors({ ...file, root: [file.root] }).tensors;
}

describe('files of torch.save in the old format', () => {
  it.each(['dtypes', 'views', 'training', 'parameters'])(
    "%s has torch's names, shapes, types and values",
    async (name) => {
      const expected = values[name]!;
      const file = await openTorchLegacy(bytesSource(read(`${name}-legacy.pt`)));
      const got: Record<string, TorchValue> = {};
      for (const [path, tensor] of everyTensor(file))
        got[path.slice(2)] = await described(tensor, expected[path.slice(2)]);
      expect(got).toEqual(expected);
    },
  );

  it('reads no more than the bytes of a view', async () => {
    const source = bytesSource(read('views-legacy.pt'));
    const tensors = everyTensor(await openTorchLegacy(source));
    const lengths: number[] = [];
    const original = source.read;
    source.read = (offset, length) => {
      lengths.push(length);
      return original(offset, length);
    };
    await tensors.get('0.row')!.read();
    await tensors.get('0.column')!.read();
    expect(lengths).toEqual([8 * 4, (5 * 8 + 1) * 4]);
  });

  it.each(['views-legacy.pt', 'parameters-legacy.pt'])('%s: 2,000 damaged copies are read or refused', async (name) => {
    const refused = await refusals(read(name), 2_000, async (bytes) => {
      const file = await openTorchLegacy(bytesSource(bytes));
      for (const tensor of everyTensor(file).values()) await tensor.read();
    });
    expect(refused).toBeGreaterThan(700);
  });
});

type View = [key: string, offset: number, size: number];

interface MadeTensor {
  storage?: string;
  count?: number;
  type?: string;
  /** A view of the storage; `raw` stands in its place. */
  view?: View;
  raw?: number[];
  offset?: number;
  size?: number;
}

interface Made {
  magic?: number[];
  version?: number;
  machine?: number[];
  tensors?: Record<string, MadeTensor>;
  /** Key and element count of each storage behind the pickles; each element is a float32, counting up from 0. */
  stored?: [key: string, count: number][];
  keys?: number[];
  trailing?: number;
  padding?: number;
}

const big = (value: number) => op.long([...new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)]);
const tuple = (...items: number[][]) => [op.mark(), ...items, op.code('t')].flat();
const MAGIC = op.long([0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);

function madeTensor({ storage = '7', count = 4, type = 'FloatStorage', view, raw, offset = 0, size = 4 }: MadeTensor) {
  const part = raw ?? (view ? tuple(op.string(view[0]), big(view[1]), big(view[2])) : op.none());
  const id = tuple(
    op.string('storage'),
    op.global('torch', type),
    op.string(storage),
    op.string('cpu'),
    big(count),
    part,
  );
  const fields = tuple(id, op.code('Q'), big(offset), tuple(big(size)), tuple(big(1)));
  return [op.global('torch._utils', '_rebuild_tensor'), fields, op.code('R')].flat();
}

/** A file as torch 0.3 made it, opcode by opcode. */
function made({ tensors = { a: {} }, stored = [['7', 4]], version = 1001, trailing = 0, padding = 0, ...rest }: Made) {
  const { magic = MAGIC, machine = op.code('}'), keys } = rest;
  const list = [op.code(']'), op.mark(), ...stored.map(([key]) => op.string(key)), op.code('e')].flat();
  const items = Object.entries(tensors).flatMap(([name, tensor]) => [
    op.string(name),
    madeTensor(tensor),
    op.code('s'),
  ]);
  const filler = padding === 0 ? [] : [op.string('pad'), op.string('x'.repeat(padding)), op.code('s')];
  const root = [op.code('}'), ...filler, ...items];
  const pickles = [[magic], [op.int(version)], [machine], root, [keys ?? list]];
  const storages = stored.flatMap(([, count]) => [
    new Uint8Array(BigInt64Array.of(BigInt(count)).buffer),
    new Uint8Array(Float32Array.from({ length: count < 100 ? Math.max(count, 0) : 0 }, (_, i) => i).buffer),
  ]);
  return Uint8Array.from(
    Buffer.concat([
      ...pickles.map((parts) => pickle(op.proto(), ...parts, op.stop())),
      ...storages,
      new Uint8Array(trailing),
    ]),
  );
}

async function valuesOf(bytes: Uint8Array): Promise<Record<string, readonly number[]>> {
  const { tensors } = flattenTensors(await openTorchLegacy(bytesSource(bytes)));
  const entries = [...tensors].map(async ([name, t]) => [name, [...toFloat32(await t.read(), t.dtype)]] as const);
  return Object.fromEntries(await Promise.all(entries));
}

describe('views of storages, as torch before 0.4 saved them', () => {
  it('begin where they say, and count their own offsets from there', async () => {
    const tensors = {
      whole: { count: 10, size: 10 },
      part: { count: 10, view: ['8', 2, 5] satisfies View, offset: 1, size: 3 },
      again: { count: 10, view: ['8', 2, 5] satisfies View, size: 5 },
    };
    expect(await valuesOf(made({ tensors, stored: [['7', 10]] }))).toEqual({
      whole: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      part: [3, 4, 5],
      again: [2, 3, 4, 5, 6],
    });
  });

  it('are the only use of a storage', async () => {
    const tensors = { a: { count: 10, view: ['8', 6, 4] satisfies View } };
    expect(await valuesOf(made({ tensors, stored: [['7', 10]] }))).toEqual({ a: [6, 7, 8, 9] });
  });
});

describe('legacy files', () => {
  it('may have pickles that are longer than what is read first', async () => {
    expect(await valuesOf(made({ padding: 2 ** 20 + 5 }))).toEqual({ a: [0, 1, 2, 3] });
  });

  const two = { a: {}, b: { storage: '9', count: 2, size: 2 } };

  it('hold the storages in the order of their list', async () => {
    const stored: Made['stored'] = [
      ['9', 2],
      ['7', 4],
    ];
    expect(await valuesOf(made({ tensors: two, stored }))).toEqual({ a: [0, 1, 2, 3], b: [0, 1] });
  });

  it.each<[string, Made, RegExp]>([
    ['another magic number', { magic: op.int(5) }, /expected torch's magic number/],
    ['another version', { version: 1002 }, /version 1001/],
    ['a machine that is no dict', { machine: op.none() }, /, number and None/],
    ['keys that are no list', { keys: op.code('}') }, /expected a list of storages, got dict/],
    ['a key that is no text', { keys: [op.code(']'), op.int(7), op.code('a')].flat() }, /list of storages has 7/],
    [
      'a key that no tensor names',
      {
        stored: [
          ['7', 4],
          ['8', 1],
        ],
      },
      /"8", which no tensor names/,
    ],
    [
      'a key twice',
      {
        stored: [
          ['7', 4],
          ['7', 4],
        ],
      },
      /"7", which occurs twice/,
    ],
    ['a storage that is not listed', { tensors: two }, /storage "9" is not in the file/],
    ['fewer elements than the tensor says', { stored: [['7', 3]] }, /should have 4 elements and has 3/],
    ['more elements than the tensor says', { stored: [['7', 5]] }, /should have 4 elements and has 5/],
    ['a negative count', { stored: [['7', -1]] }, /should have 4 elements and has -1/],
    ['a storage beyond the end', { tensors: { a: { count: 2 ** 40 } }, stored: [['7', 2 ** 40]] }, /truncated/],
    ['a storage beyond 2^53 bytes', { tensors: { a: { count: 2 ** 52 } }, stored: [['7', 2 ** 52]] }, /truncated/],
    ['bytes behind the last storage', { trailing: 3 }, /3 bytes follow the last storage/],
    ['an offset outside the storage', { tensors: { a: { offset: 1 } } }, /not inside its 16 bytes/],
    ['a tensor longer than its view', { tensors: { a: { view: ['8', 0, 3] } } }, /not inside its 12 bytes/],
    ['a view outside its storage', { tensors: { a: { view: ['8', 2, 3], size: 1 } } }, /3 elements at 2 is not inside/],
    ['a view beyond 2^53', { tensors: { a: { view: ['8', 2 ** 52, 2 ** 53 - 1] } } }, /not inside/],
    ['a view with a negative offset', { tensors: { a: { view: ['8', -1, 3] } } }, /a view of a storage was expected/],
    ['a view that is a number', { tensors: { a: { raw: op.int(3) } } }, /expected, got number/],
    [
      'a view in two places',
      { tensors: { a: { view: ['8', 0, 4] }, b: { view: ['8', 1, 3], size: 3 } } },
      /the view "8" is given two places/,
    ],
    ['one storage of two sizes', { tensors: { a: {}, b: { count: 3, size: 3 } } }, /two types or sizes/],
    ['one storage of two types', { tensors: { a: {}, b: { type: 'IntStorage' } } }, /two types or sizes/],
    ['a type that is not read', { tensors: { a: { type: 'QInt8Storage' } } }, /elements are not read/],
  ])('are refused for %s', async (_, file, message) => {
    const source = bytesSource(made(file), 'old.pt');
    const error = await openTorchLegacy(source).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(/^old\.pt: /);
    expect((error as Error).message).toMatch(message);
    expect(source.closed).toBe(true);
  });

  it('are refused where a storage is cut off', async () => {
    const bytes = made({});
    await expect(openTorchLegacy(bytesSource(bytes.subarray(0, -1)))).rejects.toThrow(/truncated/);
  });

  it('are refused when they have no storage list', async () => {
    const bytes = Uint8Array.from(Buffer.concat([pickle(op.proto(), MAGIC, op.stop())]));
    await expect(openTorchLegacy(bytesSource(bytes))).rejects.toThrow(/ends in the middle/);
  });
});
