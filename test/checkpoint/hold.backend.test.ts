import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { bytesPerElement, encodeFloat32, toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import {
  assertHolds,
  defaultWeightDtype,
  holdsBfloat16,
  preferWeightDtype,
  widenBfloat16,
  widenBfloat16Rows,
} from '../../src/checkpoint/hold.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredDtype, StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { Weights } from '../../src/checkpoint/weights.ts';
import { BackendError, FileError, OptionError } from '../../src/errors.ts';
import { elementCount, type Shape } from '../../src/shape.ts';
import { composed } from '../support/fused.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { unchecked } from '../unchecked.ts';

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-hold-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** No divisor of a piece's length. */
const PERIOD = 200_003;

/** Bits of all kinds: zeros, subnormal numbers, infinities, NaN, ties. */
function madeUp(name: string, dtype: StoredDtype, shape: Shape): StoredTensor {
  const bytes = new Uint8Array(elementCount(shape) * bytesPerElement(dtype));
  let state = shape.length;
  for (let i = 0; i < Math.min(bytes.length, PERIOD); i++) {
    state = Math.imul(state, 0x915f77f5) + 12345;
    bytes[i] = state >>> 24;
  }
  for (let i = PERIOD; i < bytes.length; i += PERIOD) bytes.copyWithin(i, 0, Math.min(PERIOD, bytes.length - i));
  return { name, dtype, shape, read: async () => bytes };
}

it('holds float32 where nothing is said, unless the running backend says otherwise', () => {
  expect(defaultWeightDtype()).toBe('float32');
  preferWeightDtype(tf.backend(), 'bfloat16');
  expect(defaultWeightDtype()).toBe('bfloat16');
  preferWeightDtype(tf.backend(), 'float32');
  expect(defaultWeightDtype()).toBe('float32');
});

// odd sizes, and an empty one
const SHAPES: readonly Shape[] = [[1], [3], [2, 3], [5, 4], [3, 3, 2, 6], [300, 64], [0]];
const DTYPES: readonly StoredDtype[] = ['F32', 'F16', 'BF16', 'F64', 'I8'];
/** Larger than a piece of 4 MiB. */
const LARGE: Shape = [1025, 2052];
const TENSORS = [
  ...DTYPES.flatMap((dtype) => SHAPES.map((shape) => madeUp(`${dtype}.${shape.join('x')}`, dtype, shape))),
  ...(['F32', 'F16', 'BF16'] as const).map((dtype) => madeUp(`${dtype}.large`, dtype, LARGE)),
];

async function withFile<T>(use: (path: string) => Promise<T>): Promise<T> {
  const path = join(folder, 'all.safetensors');
  const pieces: Uint8Array[] = [];
  const largestFirst = [...TENSORS].sort((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
  await writeSafetensors(async (bytes) => void pieces.push(bytes.slice()), largestFirst);
  writeFileSync(path, Buffer.concat(pieces));
  return use(path);
}

/** The bits, which tell a NaN from another. */
async function bitsOf(tensor: tf.Tensor): Promise<Uint32Array> {
  const values = (await tensor.data()) as Float32Array;
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** NaNs may differ in their payload: those of F64 and of rounding are all alike. */
function expectSame(got: Uint32Array, want: Float32Array, name: string): void {
  const bits = new Uint32Array(want.buffer, want.byteOffset, want.length);
  const values = new Float32Array(got.buffer, got.byteOffset, got.length);
  const odd = got.findIndex((one, i) => one !== bits[i] && !(Number.isNaN(values[i]) && Number.isNaN(want[i])));
  expect([name, odd, got.length]).toEqual([name, -1, want.length]);
}

it.each(['announced', 'not announced'])('holds every type as float32, read in pieces or together, %s', async (how) => {
  await withFile(async (path) => {
    const archive = await openSafetensors(await fileSource(path));
    await expectNoLeak(async () => {
      const weights = new Weights(archive);
      if (how === 'announced') weights.announce(TENSORS.map(({ name }) => name));
      for (const { name, dtype, shape, read } of TENSORS) {
        await weights.load(name);
        const tensor = weights.take(name, shape);
        expectSame(await bitsOf(tensor), toFloat32(await read(), dtype), name);
        tensor.dispose();
      }
      weights.dispose();
    });
    await archive.close();
  });
});

it('holds every type as bfloat16, rounded to the nearest even', async () => {
  if (!holdsBfloat16()) return unchecked('weights as bfloat16 on this backend: they need the fused ops');
  await withFile(async (path) => {
    const archive = await openSafetensors(await fileSource(path));
    await expectNoLeak(async () => {
      const weights = new Weights(archive, 'bfloat16');
      const even = TENSORS.filter(({ shape }) => shape.at(-1)! % 2 === 0 && elementCount(shape) > 0);
      weights.announce(even.map(({ name }) => name));
      for (const { name, dtype, shape, read } of even) {
        await weights.load(name, 'bfloat16');
        const held = weights.take(name, shape);
        expect(held.shape).toEqual([...shape.slice(0, -1), shape.at(-1)! / 2]);
        const widened = widenBfloat16(held);
        const rounded = toFloat32(encodeFloat32(toFloat32(await read(), dtype), 'BF16'), 'BF16');
        expectSame(await bitsOf(widened), rounded, name);
        tf.dispose([held, widened]);
      }
      weights.dispose();
    });
    await archive.close();
  });
});

it('gives rows of what it holds as bfloat16, bit for bit', async () => {
  if (!holdsBfloat16()) return unchecked('rows of bfloat16 on this backend: they need the fused ops');
  const table = madeUp('table', 'BF16', [300, 64]);
  const tables = { name: 'tables', tensors: new Map([['table', table]]), metadata: new Map(), close: async () => {} };
  const all = toFloat32(await table.read(), 'BF16');
  const rows = [299, 0, 7, 7];
  await expectNoLeak(async () => {
    const weights = new Weights(tables, 'bfloat16');
    await weights.load('table', 'bfloat16');
    const held = weights.take('table', table.shape);
    const indices = tf.tensor2d(rows, [2, 2], 'int32');
    const got = widenBfloat16Rows(held, indices);
    expect(got.shape).toEqual([2, 2, 64]);
    const want = new Float32Array(rows.flatMap((row) => Array.from(all.subarray(row * 64, (row + 1) * 64))));
    expectSame(await bitsOf(got), want, 'rows');
    tf.dispose([held, indices, got]);
    weights.dispose();
  });
});

describe('where it cannot be', () => {
  const small = madeUp('w', 'F32', [2, 4]);
  const archiveOf = (...tensors: StoredTensor[]) => ({
    name: 'some/weights',
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    metadata: new Map<string, string>(),
    close: async () => {},
  });

  it('refuses bfloat16 without fused ops by one error that says what to do, and works in float32 after', async () => {
    await composed(async () => {
      const text =
        /^dtype bfloat16: needs the fused ops of the native backend on a CPU or of WebGPU, and \w+ runs without/;
      await expectCleanFailure(() => new Weights(archiveOf(small), 'bfloat16'), BackendError, text);
      await expectCleanFailure(
        () => assertHolds('bfloat16'),
        BackendError,
        /Take dtype float32, or run `npx delta-dit/,
      );
      const weights = new Weights(archiveOf(small));
      await weights.load('w');
      weights.dispose();
    });
  });

  it('refuses other types', async () => {
    const wrong = 'float16' as 'float32';
    await expectCleanFailure(() => assertHolds(wrong), OptionError, /expected float32 or bfloat16, got "float16"/);
  });

  it.each([
    ['JavaScript', new RangeError('Array buffer allocation failed')],
    ['a file', new FileError('x: could not be read')],
  ])('says of an error of %s whether memory was missing, frees all, and loads the next time', async (_, cause) => {
    let broken = true;
    const failing: StoredTensor = {
      ...small,
      name: 'v',
      read: async () => {
        if (broken) throw cause;
        return small.read();
      },
    };
    const load = async () => {
      const weights = new Weights(archiveOf(small, failing));
      weights.announce(['w', 'v']);
      try {
        await weights.load('w');
        await weights.load('v');
      } finally {
        weights.dispose();
      }
    };
    const [errorClass, text] =
      cause instanceof RangeError
        ? ([BackendError, /^some\/weights: v: there was no memory for its 0\.0 MB; free memory/] as const)
        : ([FileError, /^x: could not be read$/] as const);
    await expectCleanFailure(load, errorClass, text);
    broken = false;
    await expectNoLeak(load);
  });
});
