import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { bytesPerElement, encodeFloat32, STORED_AS, toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import {
  assertHolds,
  declareHolding,
  WEIGHT_DTYPES,
  weightHolding,
  widen,
  widenRows,
} from '../../src/checkpoint/hold.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredDtype, StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { Weights } from '../../src/checkpoint/weights.ts';
import { BackendError, FileError, OptionError } from '../../src/errors.ts';
import { elementCount, type Shape } from '../../src/shape.ts';
import { composed } from '../support/fused.ts';
import { HALVES, holdsHalves } from '../support/half-weights.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';

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

/** Of every finite float16 what is half way to the next, which is 2^16 after the last; that and its neighbours, of both signs. */
function aroundTies(): StoredTensor {
  const halves = Uint16Array.from({ length: 0x7c00 }, (_, half) => half);
  const values = toFloat32(new Uint8Array(halves.buffer), 'F16');
  const ties = values.map((value, i) => (value + (values[i + 1] ?? 2 ** 16)) / 2);
  const bits = [...new Uint32Array(ties.buffer)].flatMap((tie) => [tie - 1, tie, tie + 1]);
  const all = Uint32Array.from(bits.flatMap((positive) => [positive, positive | 0x80000000]));
  return { name: 'ties', dtype: 'F32', shape: [ties.length, 6], read: async () => new Uint8Array(all.buffer) };
}

function archiveOf(...tensors: StoredTensor[]) {
  return {
    name: 'some/weights',
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    metadata: new Map<string, string>(),
    close: async () => {},
  };
}

it('holds float32 where nothing is said, unless the running backend says otherwise of itself', () => {
  const holding = weightHolding();
  expect(holding.preferred).toBe('float32');
  declareHolding(tf.backend(), { ...holding, preferred: 'bfloat16' });
  expect(weightHolding().preferred).toBe(holding.dtypes.length > 1 ? 'bfloat16' : 'float32');
  composed(() => expect(weightHolding()).toEqual({ dtypes: ['float32'], preferred: 'float32' }));
  declareHolding(tf.backend(), holding);
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

async function bytesOf(tensor: tf.Tensor): Promise<Buffer> {
  const { buffer, byteOffset, byteLength } = await tensor.data();
  return Buffer.from(buffer, byteOffset, byteLength);
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
        const held = weights.take(name, shape);
        expect(held.dtype).toBe('float32');
        expectSame(await bitsOf(held.tensor), toFloat32(await read(), dtype), name);
        held.tensor.dispose();
      }
      weights.dispose();
    });
    await archive.close();
  });
});

it.each(HALVES)('holds every type as %s, rounded to the nearest even, and its own as it is', async (half) => {
  if (!holdsHalves('weights of 16 bits')) return;
  const to = STORED_AS[half];
  await withFile(async (path) => {
    const archive = await openSafetensors(await fileSource(path));
    await expectNoLeak(async () => {
      const weights = new Weights(archive, half);
      const even = TENSORS.filter(({ shape }) => shape.at(-1)! % 2 === 0 && elementCount(shape) > 0);
      weights.announce(even.map(({ name }) => name));
      for (const { name, dtype, shape, read } of even) {
        await weights.load(name, half);
        const held = weights.take(name, shape);
        expect([held.dtype, held.tensor.shape]).toEqual([half, [...shape.slice(0, -1), shape.at(-1)! / 2]]);
        const widened = widen(held.tensor, half);
        const rounded = toFloat32(encodeFloat32(toFloat32(await read(), dtype), to), to);
        expectSame(await bitsOf(widened), rounded, name);
        if (dtype === to) expect((await bytesOf(held.tensor)).equals(await read())).toBe(true);
        tf.dispose([held.tensor, widened]);
      }
      weights.dispose();
    });
    await archive.close();
  });
});

it.each(HALVES)('rounds to %s as JavaScript does, half way between two float16 and beside it', async (half) => {
  if (!holdsHalves('rounding to 16 bits')) return;
  const ties = aroundTies();
  await expectNoLeak(async () => {
    const weights = new Weights(archiveOf(ties), half);
    await weights.load('ties', half);
    const { tensor } = weights.take('ties', ties.shape);
    const values = toFloat32(await ties.read(), 'F32');
    expect((await bytesOf(tensor)).equals(encodeFloat32(values, STORED_AS[half]))).toBe(true);
    tensor.dispose();
  });
});

it.each(HALVES)('gives rows of what it holds as %s, bit for bit', async (half) => {
  if (!holdsHalves('rows of 16 bits')) return;
  const table = madeUp('table', STORED_AS[half], [300, 64]);
  const all = toFloat32(await table.read(), STORED_AS[half]);
  const rows = [299, 0, 7, 7];
  await expectNoLeak(async () => {
    const weights = new Weights(archiveOf(table), half);
    await weights.load('table', half);
    const held = weights.take('table', table.shape).tensor;
    const indices = tf.tensor2d(rows, [2, 2], 'int32');
    const got = widenRows(held, indices, half);
    expect(got.shape).toEqual([2, 2, 64]);
    const want = new Float32Array(rows.flatMap((row) => Array.from(all.subarray(row * 64, (row + 1) * 64))));
    expectSame(await bitsOf(got), want, 'rows');
    tf.dispose([held, indices, got]);
    weights.dispose();
  });
});

describe('where it cannot be', () => {
  const small = madeUp('w', 'F32', [2, 4]);

  it.each([
    ['bfloat16', /Take dtype float32, or run on tensorflow with its fused ops \(`npx delta-dit setup-native`/],
    ['float16', /Take dtype float32, or run on webgpu; `delta-dit doctor` says what is there\.$/],
  ] as const)(
    'refuses %s without fused ops by one error that says what to do, and works in float32 after',
    async (dtype, advice) => {
      await composed(async () => {
        const text = new RegExp(`^dtype ${dtype}: \\w+ holds weights as float32 here\\. `);
        await expectCleanFailure(() => new Weights(archiveOf(small), dtype), BackendError, text);
        await expectCleanFailure(() => assertHolds(dtype), BackendError, advice);
        const weights = new Weights(archiveOf(small));
        await weights.load('w');
        weights.dispose();
      });
    },
  );

  it('refuses what the running backend does not hold, and names what it does', async () => {
    const { dtypes } = weightHolding();
    for (const dtype of WEIGHT_DTYPES) {
      const text = new RegExp(`holds weights as ${dtypes.join(' or ')} here\\. Take dtype ${dtypes.join(' or ')}, or`);
      if (dtypes.includes(dtype)) assertHolds(dtype);
      else await expectCleanFailure(() => assertHolds(dtype), BackendError, text);
    }
    expect(dtypes.includes('float16')).toBe(globalThis.DELTA_DIT_BACKEND === 'webgpu');
  });

  it('refuses other types', async () => {
    const wrong = 'float64' as 'float32';
    const text = /expected float32 or bfloat16 or float16, got "float64"/;
    await expectCleanFailure(() => assertHolds(wrong), OptionError, text);
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
