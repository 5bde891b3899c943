import { readFileSync } from 'node:fs';
import { flattenTensors } from '../../../converters/formats/flatten-tensors.ts';
import { InertObject } from '../../../converters/formats/pickle-values.ts';
import type { TorchFile } from '../../../converters/formats/torch-file.ts';
import { openTorchZip } from '../../../converters/formats/torch-zip.ts';
import { toFloat32 } from '../../../src/checkpoint/dtypes.ts';
import { FormatError } from '../../../src/errors.ts';
import { bytesSource } from '../../checkpoint/bytes-source.ts';
import { refusals } from '../../checkpoint/mutations.ts';
import { damagedPieces } from '../../support/checksums.ts';
import { op, pickle } from './pickle-builder.ts';
import { described, type TorchValue } from './torch-files.ts';
import { type BuiltEntry, zipSource } from './zip-builder.ts';

const read = (name: string) => new Uint8Array(readFileSync(`test/fixtures/torch/${name}`));
const values: Record<string, Record<string, TorchValue>> = JSON.parse(
  readFileSync('test/fixtures/torch/values.json', 'utf8'),
);

/** All tensors of a file, without the unwrapping of a state dict. */
function everyTensor(file: TorchFile) {
  return flattenTensors({ ...file, root: [file.root] }).tensors;
}

describe('files of torch.save', () => {
  it.each([
    'dtypes-2',
    'dtypes-4',
    'views-2',
    'views-4',
    'training-2',
    'training-3',
    'training-4',
    'training-5',
    'parameters-2',
    'parameters-3',
    'parameters-4',
    'parameters-5',
  ])("%s has torch's names, shapes, types and values, and right checksums", async (name) => {
    const expected = values[name.slice(0, -2)]!;
    const bytes = read(`${name}.pt`);
    const file = await openTorchZip(bytesSource(bytes));
    const got: Record<string, TorchValue> = {};
    for (const [path, tensor] of everyTensor(file))
      got[path.slice(2)] = await described(tensor, expected[path.slice(2)]);
    expect(got).toEqual(expected);
    expect(file.checksums?.length).toBeGreaterThan(1);
    expect(damagedPieces(file.checksums, bytes)).toEqual([]);
  });

  it.each(['training-2.pt', 'training-5.pt'])('%s keeps everything else as plain values', async (name) => {
    const { root } = await openTorchZip(bytesSource(read(name)));
    const { args, loss, epochs, counts, blob, big, minus } = Object.fromEntries(root as Map<string, unknown>);
    expect(args).toMatchObject({
      type: 'argparse.Namespace',
      state: new Map<string, unknown>([
        ['model', 'DiT-S/2'],
        ['image_size', 64],
        ['num_classes', 10],
        ['lr', 1e-4],
      ]),
    });
    expect(loss).toBeInstanceOf(InertObject);
    expect({ epochs, counts, blob, big, minus }).toEqual({
      epochs: new Set([3, 5]),
      counts: new Map([
        ['a', 2],
        ['b', 1],
      ]),
      blob: Uint8Array.of(0, 255),
      big: 2n ** 70n,
      minus: -(2 ** 40),
    });
  });

  it.each([
    ['complex128.pt', /ComplexDoubleStorage, whose elements are not read/],
    ['quantized.pt', /"torch._utils._rebuild_qtensor"/],
    ['conjugate.pt', /resolve_conj/],
    ['module.pt', /"torch.nn.modules.linear.Linear".*state_dict/],
    ['torchscript.pt', /is a TorchScript program .*torch.jit.load/],
  ])('refuses %s by name', async (name, message) => {
    const source = bytesSource(read(name));
    const error = await openTorchZip(source).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
    expect(source.closed).toBe(true);
  });

  it('reads no more than the bytes of a view', async () => {
    const source = bytesSource(read('views-2.pt'));
    const tensors = everyTensor(await openTorchZip(source));
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

  it('has checksums that find a flipped byte in the data', async () => {
    const bytes = read('views-2.pt');
    const file = await openTorchZip(bytesSource(bytes));
    const [tensor] = everyTensor(file).values();
    const place = Buffer.from(bytes).indexOf(Buffer.from(await tensor!.read()));
    bytes[place] = bytes[place]! ^ 1;
    expect(damagedPieces(file.checksums, bytes)).toEqual(['views-2/data/0']);
  });

  it.each(['views-2.pt', 'parameters-4.pt'])('%s: 2,000 damaged copies are read or refused', async (name) => {
    const refused = await refusals(read(name), 2_000, async (bytes) => {
      const file = await openTorchZip(bytesSource(bytes));
      for (const tensor of everyTensor(file).values()) await tensor.read();
      if (damagedPieces(file.checksums, bytes).length > 0) throw new FormatError('a checksum is wrong');
    });
    expect(refused).toBeGreaterThan(1_000);
  });
});

interface Made {
  storage?: string;
  count?: number;
  offset?: number;
  shape?: number[];
  strides?: number[];
  data?: Uint8Array | number;
  more?: BuiltEntry[];
  key?: string;
}

/** A file with one tensor `a`, made as torch makes it. */
function made({ storage = 'FloatStorage', count = 4, offset = 0, shape = [4], strides = [1], data, more, key }: Made) {
  const big = (value: number) => op.long([...new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)]);
  const tuple = (...items: number[][]) => [op.mark(), ...items, op.code('t')].flat();
  const id = tuple(op.string('storage'), op.global('torch', storage), op.string('0'), op.string('cpu'), big(count));
  const tensor = [
    op.global('torch._utils', '_rebuild_tensor_v2'),
    tuple(id, op.code('Q'), big(offset), tuple(...shape.map(big)), tuple(...strides.map(big)), op.raw(0x89), op.none()),
    op.code('R'),
  ].flat();
  const content = pickle(op.proto(), op.code('}'), op.string('a'), tensor, op.code('s'), op.stop());
  const entries: BuiltEntry[] = [{ name: 'top/data.pkl', content }];
  entries.push({ name: `top/data/${key ?? 0}`, content: data ?? Uint8Array.from({ length: 16 }, (_, i) => i) });
  return zipSource({ entries: [...entries, ...(more ?? [])] });
}

describe('tensors of hostile files', () => {
  it.each<[string, Made, RegExp]>([
    ['an offset outside the storage', { offset: 1 }, /not inside its 16 bytes/],
    ['a stride outside the storage', { shape: [2], strides: [4] }, /not inside its 16 bytes/],
    ['a negative offset', { offset: -1 }, /not whole numbers/],
    ['a negative stride', { strides: [-1] }, /not whole numbers/],
    ['a negative size', { shape: [-1] }, /not whole numbers/],
    ['fewer strides than sizes', { shape: [2, 2] }, /2 sizes and 1 strides/],
    ['65 dimensions', { shape: Array(65).fill(1), strides: Array(65).fill(1) }, /65 sizes/],
    ['sizes whose product overflows', { shape: [2 ** 40, 2 ** 40], strides: [0, 0] }, /repeats few elements/],
    [
      'sizes whose product is infinite',
      { shape: Array(40).fill(2 ** 50), strides: Array(40).fill(0) },
      /repeats few elements/,
    ],
    ['a span that overflows', { shape: [2 ** 50, 2], strides: [2 ** 50, 1] }, /not inside/],
    ['an offset near 2^53', { offset: 2 ** 53 - 2 }, /not inside/],
    ['an empty tensor outside the storage', { shape: [0], offset: 5 }, /not inside/],
    ['a storage shorter than it says', { count: 5 }, /should have 20 bytes and has 16/],
    ['a storage longer than it says', { count: 3, shape: [3] }, /should have 12 bytes and has 16/],
    ['a storage that is not there', { key: '1' }, /"top\/data\/0" is not in the zip/],
    ['a negative count', { count: -1 }, /no storage of a tensor/],
    [
      'a storage of quantized numbers',
      { storage: 'QInt8Storage', count: 16 },
      /QInt8Storage, whose elements are not read/,
    ],
    ['a dtype for a storage class', { storage: 'float32' }, /no storage of a tensor/],
    ['an unknown byte order', { more: [{ name: 'top/byteorder', content: 'middle' }] }, /byte order little or big/],
    ['a program', { more: [{ name: 'top/code/x.py', content: '' }] }, /TorchScript/],
  ])('refuses %s', async (_, file, message) => {
    const error = await openTorchZip(made(file)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
  });

  it('refuses a zip that is no torch file', async () => {
    await expect(openTorchZip(zipSource({ entries: [{ name: 'top/a', content: '' }] }))).rejects.toThrow(
      /"top\/data.pkl"/,
    );
  });

  it('refuses a pickle above 64 MB unread', async () => {
    const source = zipSource({ entries: [{ name: 'top/data.pkl', content: 2 ** 27 }] });
    await expect(openTorchZip(source)).rejects.toThrow(/at most 67108864/);
    expect(source.largestRead).toBeLessThan(2 ** 20);
  });

  it('accepts an empty tensor with any other sizes', async () => {
    const file = await openTorchZip(made({ shape: [0, 2 ** 50, 2 ** 50], strides: [2 ** 50, 2 ** 50, 1] }));
    expect(await flattenTensors(file).tensors.get('a')!.read()).toHaveLength(0);
  });

  it('reads a tensor behind 4 GB without reading what is before it', async () => {
    const source = made({ data: 2 ** 33, count: 2 ** 31, offset: 2 ** 31 - 4 });
    const tensor = flattenTensors(await openTorchZip(source)).tensors.get('a')!;
    expect(await tensor.read()).toEqual(new Uint8Array(16));
    expect(source.largestRead).toBeLessThan(2 ** 20);
  });

  it('turns big-endian numbers round', async () => {
    const numbers = new Uint8Array(16);
    [1.5, -2, 3, 4].forEach((value, i) => {
      new DataView(numbers.buffer).setFloat32(4 * i, value, false);
    });
    const more = [{ name: 'top/byteorder', content: 'big' }];
    const file = await openTorchZip(made({ data: numbers, more, shape: [2, 2], strides: [1, 2] }));
    const tensor = flattenTensors(file).tensors.get('a')!;
    expect([...toFloat32(await tensor.read(), 'F32')]).toEqual([1.5, 3, -2, 4]);
    const inOrder = await openTorchZip(made({ data: numbers, more, shape: [2, 2], strides: [2, 1] }));
    const piece = await flattenTensors(inOrder).tensors.get('a')!.readElements!(1, 2);
    expect([...toFloat32(piece, 'F32')]).toEqual([-2, 3]);
  });
});
