import * as tf from '@tensorflow/tfjs-core';
import { BackendError, OptionError } from '../errors.ts';
import { elementCount, type Shape } from '../shape.ts';
import { bytesPerElement, encodeFloat32, toFloat32 } from './dtypes.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { StoredDtype, StoredTensor } from './stored-tensor.ts';

/**
 * How weights are held in memory. As bfloat16 they take half of it: kernels and embedding tables in tensors of half the
 * length, whose bytes are the bfloat16 elements in pairs; their type is float32, or int32 where the backend's kernels want
 * that: a GPU may change what is no normal float32. Everything is computed in float32 either way.
 */
export type WeightDtype = 'float32' | 'bfloat16';

/** A conversion of elements on the backend. Where it brings none, JavaScript widens, and bfloat16 cannot be held. */
const CONVERT = 'DeltaDitConvert';
/** As kernels/convert_ops.cc numbers them. */
const CODES = { F32: 0, F16: 1, BF16: 2 } as const;
type Convertible = keyof typeof CODES;

/** @throws BackendError when the running backend computes with no weights that are held so. */
export function assertHolds(dtype: WeightDtype = 'float32'): void {
  if (dtype !== 'float32' && dtype !== 'bfloat16')
    throw new OptionError(`dtype: expected float32 or bfloat16, got ${JSON.stringify(dtype)}`);
  if (dtype === 'float32' || holdsBfloat16()) return;
  throw new BackendError(
    `dtype bfloat16: needs the fused ops of the native backend on a CPU or of WebGPU, and ${tf.getBackend()} runs ` +
      'without them. Take dtype float32, or run `npx delta-dit setup-native`; `delta-dit doctor` says what is there.',
  );
}

/** Whether the running backend computes with weights that are held as bfloat16. */
export function holdsBfloat16(): boolean {
  return tf.getKernel(CONVERT, tf.getBackend()) !== undefined;
}

const preferred = new WeakMap<tf.KernelBackend, WeightDtype>();

/** Where nothing is said: what the running backend computes fastest with, float32 where it has not said so. */
export function defaultWeightDtype(): WeightDtype {
  return preferred.get(tf.backend()) ?? 'float32';
}

/** Said by a backend of itself. */
export function preferWeightDtype(running: tf.KernelBackend, dtype: WeightDtype): void {
  preferred.set(running, dtype);
}

/**
 * A tensor of the backend from a stored one.
 * @param held bfloat16 only where the last axis is even
 * @returns [..., n], or [..., n/2] as bfloat16
 */
export async function holdTensor(stored: StoredTensor, held: WeightDtype, reading: ReadAhead): Promise<tf.Tensor> {
  const { dtype, shape } = stored;
  const elements = elementCount(shape);
  const to = held === 'bfloat16' ? 'BF16' : 'F32';
  const wholeWords = (elements * bytesPerElement(dtype)) % 4 === 0 && elements > 0;
  if (holdsBfloat16() && isConvertible(dtype) && wholeWords) {
    const words = await convertPieces(stored, dtype, to, reading);
    return reshaped(words, held === 'bfloat16' ? halved(shape) : shape);
  }
  const bytes = await wholeOf(reading.read(stored));
  if (held === 'bfloat16') {
    const narrowed = encodeFloat32(toFloat32(bytes, dtype), 'BF16');
    return reshaped(convert(narrowed, 'BF16', 'BF16'), halved(shape));
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
 * bfloat16 as float32, by the backend that holds it.
 * @param held [..., n/2] @returns [..., n]
 */
export function widenBfloat16<T extends tf.Tensor>(held: T): T {
  const pairs = held.shape.at(-1) ?? 0;
  return tf.tidy(() => {
    const rows = tf.reshape(held, [-1, pairs]);
    return tf.reshape(convertElements(rows, 'BF16', 'F32'), [...held.shape.slice(0, -1), 2 * pairs]) as tf.Tensor as T;
  });
}

/**
 * Rows of an embedding table that is held as bfloat16, in float32. A backend whose own gather takes words for numbers, and
 * rounds them, brings a kernel for it.
 * @param held [R,n/2] @param indices [...] int32 @returns [...,n]
 */
export function widenBfloat16Rows<T extends tf.Tensor>(held: tf.Tensor, indices: tf.Tensor): T {
  const rows = 'DeltaDitConvertRows';
  if (!tf.getKernel(rows, tf.getBackend()))
    return tf.tidy(() => widenBfloat16(tf.gather(held, indices)) as tf.Tensor as T);
  return tf.engine().runKernel(rows, { x: held, indices }, { from: CODES.BF16, to: CODES.F32 }) as tf.Tensor as T;
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
  const bytes = elementCount(shape) * (held === 'bfloat16' ? 2 : 4);
  const halve = held === 'float32' && holdsBfloat16() ? ', load it with dtype bfloat16, which takes half' : '';
  return new BackendError(
    `${where}: there was no memory for its ${(bytes / 1e6).toFixed(1)} MB; free memory${halve}, ` +
      'or take a smaller model',
    { cause },
  );
}
