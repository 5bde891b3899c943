import * as tf from '@tensorflow/tfjs-core';
import { BackendError, OptionError } from '../errors.ts';
import { elementCount, type Shape } from '../shape.ts';
import { encodeFloat32, toFloat32 } from './dtypes.ts';
import type { StoredDtype, StoredTensor } from './stored-tensor.ts';

/**
 * How weights are held in memory. As bfloat16 they take half of it: kernels and embedding tables in float32-typed tensors
 * of half the length, whose bytes are the bfloat16 elements in pairs. Everything is computed in float32 either way.
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
    `dtype bfloat16: needs the fused ops of the native backend on a CPU, and ${tf.getBackend()} runs without them. ` +
      'Take dtype float32, or run `npx delta-dit setup-native`; `delta-dit doctor` says what is there.',
  );
}

/** Whether the running backend computes with weights that are held as bfloat16. */
export function holdsBfloat16(): boolean {
  return tf.getKernel(CONVERT, tf.getBackend()) !== undefined;
}

/**
 * A tensor of the backend from stored elements.
 * @param held bfloat16 only where the last axis is even
 * @returns the tensor, [..., n], or [..., n/2] as bfloat16; and whether the bytes were copied, so that their memory may be
 * used again
 */
export function holdTensor(
  bytes: Uint8Array,
  dtype: StoredDtype,
  shape: Shape,
  held: WeightDtype,
): { readonly tensor: tf.Tensor; readonly copied: boolean } {
  const target = held === 'bfloat16' ? [...shape.slice(0, -1), (shape.at(-1) ?? 0) / 2] : [...shape];
  if (holdsBfloat16() && elementCount(shape) > 0) {
    const to = held === 'bfloat16' ? 'BF16' : 'F32';
    if (isConvertible(dtype) && bytes.length % 4 === 0)
      return { tensor: convert(bytes, dtype, to, target), copied: true };
    if (held === 'bfloat16') {
      const narrowed = encodeFloat32(toFloat32(bytes, dtype), 'BF16');
      return { tensor: convert(narrowed, 'BF16', 'BF16', target), copied: true };
    }
  }
  const tensor = tf.tensor(toFloat32(bytes, dtype), target, 'float32');
  handOver(tensor);
  return { tensor, copied: false };
}

function isConvertible(dtype: StoredDtype): dtype is Convertible {
  return Object.hasOwn(CODES, dtype);
}

/** Whole words of four bytes to a tensor in memory of its own. */
function convert(bytes: Uint8Array, from: Convertible, to: Convertible, shape: readonly number[]): tf.Tensor {
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return tf.tidy(() => {
    const words = tf.tensor2d(new Float32Array(buffer, byteOffset, length / 4), [1, length / 4]);
    return tf.reshape(convertElements(words, from, to), [...shape]);
  });
}

/** @param words float32-typed [R,C] @returns [R,2·C] where elements become wider, [R,C/2] where they become narrower */
function convertElements(words: tf.Tensor2D, from: Convertible, to: Convertible): tf.Tensor2D {
  const attributes = { from: CODES[from], to: CODES[to] };
  return tf.engine().runKernel(CONVERT, { x: words }, attributes) as tf.Tensor2D;
}

/**
 * bfloat16 as float32, by the backend that holds it.
 * @param held float32-typed [..., n/2] @returns [..., n]
 */
export function widenBfloat16<T extends tf.Tensor>(held: T): T {
  const pairs = held.shape.at(-1) ?? 0;
  return tf.tidy(() => {
    const rows = tf.reshape(held, [-1, pairs]) as tf.Tensor2D;
    return tf.reshape(convertElements(rows, 'BF16', 'F32'), [...held.shape.slice(0, -1), 2 * pairs]) as tf.Tensor as T;
  });
}

/**
 * Makes the backend take a tensor's values now. Native TensorFlow copies them when an op first needs them: after loading
 * a whole model the host would hold them all, and free them long after the backend has its own, so that a model would
 * take twice its size.
 */
function handOver(tensor: tf.Tensor): void {
  tf.tidy(() => {
    tf.slice(tf.reshape(tensor, [-1]), 0, Math.min(1, tensor.size));
  });
}

// V8 where there is no room for an array; TensorFlow (RESOURCE_EXHAUSTED); Emscripten's heap
const NO_MEMORY =
  /allocation failed|invalid (typed )?array( buffer)? length|out of memory|\bOOM\b|exhausted|enlarge memory/i;

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
