import * as tf from '@tensorflow/tfjs-core';
import { BackendError, OptionError } from '../errors.ts';
import { elementCount, type Shape } from '../shape.ts';
import { bytesPerElement, encodeFloat32, STORED_AS, toFloat32 } from './dtypes.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { StoredDtype, StoredTensor } from './stored-tensor.ts';

export const WEIGHT_DTYPES = ['float32', 'bfloat16', 'float16'] as const;

/**
 * How weights are held in memory. In the 16 bits of bfloat16 or float16 they take half of it: kernels and embedding tables
 * in tensors of half the length, whose bytes are the elements in pairs; their type is float32, or int32 where the backend's
 * kernels want that: a GPU may change what is no normal float32. Everything is computed in float32 either way.
 */
export type WeightDtype = (typeof WEIGHT_DTYPES)[number];
export type HalfDtype = Exclude<WeightDtype, 'float32'>;

/** How a backend holds weights. */
export interface WeightHolding {
  readonly dtypes: readonly WeightDtype[];
  /** What it computes fastest with. */
  readonly preferred: WeightDtype;
}

/** A conversion of elements on the backend. Where it brings none, JavaScript widens, and weights are held in float32. */
const CONVERT = 'DeltaDitConvert';
const PLAIN: WeightHolding = { dtypes: ['float32'], preferred: 'float32' };
const holdings = new WeakMap<tf.KernelBackend, WeightHolding>();

/** Said by a backend of itself, once it has its kernels. */
export function declareHolding(running: tf.KernelBackend, holding: WeightHolding): void {
  holdings.set(running, holding);
}

/** Of the running backend. */
export function weightHolding(): WeightHolding {
  return (convertsElements() && holdings.get(tf.backend())) || PLAIN;
}

/** Whether the running backend converts elements itself, piece by piece as they are read. */
export function convertsElements(): boolean {
  return tf.getKernel(CONVERT, tf.getBackend()) !== undefined;
}

/** Where else weights are held so. */
const HELD_BY: Readonly<Record<HalfDtype, string>> = {
  bfloat16: 'on tensorflow with its fused ops (`npx delta-dit setup-native`, for a CPU) or on webgpu',
  float16: 'on webgpu',
};

/** As kernels/convert_ops.cc numbers them. */
const CODES = { F32: 0, F16: 1, BF16: 2 } as const;
type Convertible = keyof typeof CODES;

/** @throws BackendError when the running backend computes with no weights that are held so. */
export function assertHolds(dtype: WeightDtype = 'float32'): void {
  if (!WEIGHT_DTYPES.includes(dtype))
    throw new OptionError(`dtype: expected ${WEIGHT_DTYPES.join(' or ')}, got ${JSON.stringify(dtype)}`);
  const { dtypes } = weightHolding();
  if (dtype === 'float32' || dtypes.includes(dtype)) return;
  const held = dtypes.join(' or ');
  throw new BackendError(
    `dtype ${dtype}: ${tf.getBackend()} holds weights as ${held} here. Take dtype ${held}, or run ` +
      `${HELD_BY[dtype]}; \`delta-dit doctor\` says what is there.`,
  );
}

/**
 * A tensor of the backend from a stored one. What is too large for float16 becomes infinite, as in PyTorch.
 * @param held of 16 bits only where the last axis is even
 * @returns [..., n], or [..., n/2] of 16 bits
 */
export async function holdTensor(stored: StoredTensor, held: WeightDtype, reading: ReadAhead): Promise<tf.Tensor> {
  const { dtype, shape } = stored;
  const elements = elementCount(shape);
  const to = STORED_AS[held];
  const wholeWords = (elements * bytesPerElement(dtype)) % 4 === 0 && elements > 0;
  if (convertsElements() && isConvertible(dtype) && wholeWords) {
    const words = await convertPieces(stored, dtype, to, reading);
    return reshaped(words, held === 'float32' ? shape : halved(shape));
  }
  const bytes = await wholeOf(reading.read(stored));
  if (held !== 'float32') {
    const narrowed = encodeFloat32(toFloat32(bytes, dtype), to);
    return reshaped(convert(narrowed, to, to), halved(shape));
  }
  return tf.tidy(() => {
    const tensor = tf.tensor(toFloat32(bytes, dtype), [...shape], 'float32');
    handOver(tensor);
    return tensor;
  });
}

function isConvertible(dtype: StoredDtype): dtype is Convertible {
  return Object.hasOwn(CODES, dtype);
}

function halved(shape: Shape): Shape {
  return [...shape.slice(0, -1), (shape.at(-1) ?? 0) / 2];
}

/** @param tensor consumed */
function reshaped(tensor: tf.Tensor, shape: Shape): tf.Tensor {
  const view = tf.reshape(tensor, [...shape]);
  tensor.dispose();
  return view;
}

async function wholeOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  const [first] = parts;
  if (first && parts.length === 1) return first;
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Below this, pages of its own would cost a tensor more than they save. */
const SMALL_WORDS = 2 ** 14;

/** Words of a stored tensor, each piece converted as it comes. */
async function convertPieces(
  stored: StoredTensor,
  from: Convertible,
  to: Convertible,
  reading: ReadAhead,
): Promise<tf.Tensor> {
  const words = (elementCount(stored.shape) * bytesPerElement(to)) / 4;
  let whole: tf.Tensor | undefined;
  let at = 0;
  try {
    for await (const piece of reading.read(stored)) {
      const converted = (piece.length / bytesPerElement(from)) * (bytesPerElement(to) / 4);
      if (words < SMALL_WORDS) return convert(piece, from, to);
      whole ??= allocateWords(words, to);
      convertInto(whole, at, piece, from, to);
      at += converted;
      reading.giveBack(piece);
    }
    return whole as tf.Tensor;
  } catch (error) {
    whole?.dispose();
    throw error;
  }
}

/** Whole words of four bytes in memory of their own. */
function convert(bytes: Uint8Array, from: Convertible, to: Convertible): tf.Tensor {
  return tf.tidy(() => convertElements(tf.reshape(wordsOf(bytes), [1, -1]), from, to));
}

function convertInto(whole: tf.Tensor, at: number, piece: Uint8Array, from: Convertible, to: Convertible): void {
  tf.tidy(() => {
    const inputs = { whole, x: wordsOf(piece), at: tf.scalar(at, 'int32') };
    tf.engine().runKernel('DeltaDitConvertInto', inputs, { from: CODES[from], to: CODES[to] });
  });
}

function allocateWords(words: number, to: Convertible): tf.Tensor {
  const inputs = () => ({ words: tf.scalar(words, 'int32') });
  return tf.tidy(() => tf.engine().runKernel('DeltaDitAllocate', inputs(), { to: CODES[to] }) as tf.Tensor);
}

/** A view; the backend copies it, or reads it, as it computes. */
function wordsOf(bytes: Uint8Array): tf.Tensor1D {
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return tf.tensor1d(new Float32Array(buffer, byteOffset, length / 4));
}

/** @param words [R,C] @returns [R,2·C] where elements become wider, [R,C/2] where they become narrower */
function convertElements(words: tf.Tensor, from: Convertible, to: Convertible): tf.Tensor {
  return tf.engine().runKernel(CONVERT, { x: words }, { from: CODES[from], to: CODES[to] }) as tf.Tensor;
}

/**
 * Weights of 16 bits as float32, by the backend that holds them.
 * @param held [..., n/2] @returns [..., n]
 */
export function widen<T extends tf.Tensor>(held: T, dtype: HalfDtype): T {
  const pairs = held.shape.at(-1) ?? 0;
  return tf.tidy(() => {
    const rows = tf.reshape(held, [-1, pairs]);
    return tf.reshape(convertElements(rows, STORED_AS[dtype], 'F32'), [
      ...held.shape.slice(0, -1),
      2 * pairs,
    ]) as tf.Tensor as T;
  });
}

/**
 * Rows of an embedding table that is held in 16 bits, in float32. A backend whose own gather takes words for numbers, and
 * rounds them, brings a kernel for it.
 * @param held [R,n/2] @param indices [...] int32 @returns [...,n]
 */
export function widenRows<T extends tf.Tensor>(held: tf.Tensor, indices: tf.Tensor, dtype: HalfDtype): T {
  const rows = 'DeltaDitConvertRows';
  if (!tf.getKernel(rows, tf.getBackend()))
    return tf.tidy(() => widen(tf.gather(held, indices), dtype) as tf.Tensor as T);
  const types = { from: CODES[STORED_AS[dtype]], to: CODES.F32 };
  return tf.engine().runKernel(rows, { x: held, indices }, types) as tf.Tensor as T;
}

/**
 * Makes the backend take a tensor's values now. Native TensorFlow copies them when an op first needs them: after loading
 * a whole model the host would hold them all, and free them long after the backend has its own, so that a model would
 * take twice its size. To be called in a tidy.
 */
function handOver(tensor: tf.Tensor): void {
  tf.slice(tf.reshape(tensor, [-1]), 0, Math.min(1, tensor.size));
}

// V8 where there is no room for an array; TensorFlow (RESOURCE_EXHAUSTED); Emscripten's heap; WebGPU's mapped buffers
const NO_MEMORY =
  /allocation failed|invalid (typed )?array( buffer)? length|out of memory|\bOOM\b|exhausted|enlarge memory|createBuffer failed/i;

/** The error of a tensor for which there was no memory; undefined where `cause` is of another kind. */
export function outOfMemory(
  where: string,
  { shape }: Pick<StoredTensor, 'shape'>,
  held: WeightDtype,
  cause: unknown,
): BackendError | undefined {
  if (!(cause instanceof Error) || cause instanceof BackendError || !NO_MEMORY.test(cause.message)) return undefined;
  const bytes = elementCount(shape) * bytesPerElement(STORED_AS[held]);
  const halves = weightHolding().dtypes.filter((dtype) => dtype !== 'float32');
  const isWhole = held === 'float32' && halves.length > 0;
  const halve = isWhole ? `, load it with dtype ${halves.join(' or ')}, which takes half` : '';
  return new BackendError(
    `${where}: there was no memory for its ${(bytes / 1e6).toFixed(1)} MB; free memory${halve}, ` +
      'or take a smaller model',
    { cause },
  );
}
