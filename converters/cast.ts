import { bytesPerElement, encodeFloat32, LARGEST_FINITE, toFloat32 } from '../src/checkpoint/dtypes.ts';
import type { StoredTensor } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../src/errors.ts';
import { elementCount } from '../src/shape.ts';
import { Rounding } from './rounding.ts';

/** What was met while casting, and the memory that it goes through. */
export interface Casting {
  nonFinite: number;
  /** Made when it is needed. */
  rounding?: Rounding;
  /** Of the most that was read at once and found no room there. */
  scratch?: Uint8Array;
}

type Storage = 'F32' | 'F16' | 'BF16';

const FLOAT_TYPES = new Set(['F64', 'F32', 'F16', 'BF16']);
const INFINITY_BITS = 0x7f800000;

/**
 * A weight in another storage type, cast as it is read and before its elements are moved: one read after the other, for
 * they share their memory.
 * @throws CheckpointError when read: integers are no weights, and float16 cannot hold what is beyond ±65504.
 */
export function castTensor(tensor: StoredTensor, dtype: Storage, casting: Casting): StoredTensor {
  if (tensor.mapElements) {
    const { name, shape } = tensor;
    return { ...tensor.mapElements((stored) => castTensor(stored, dtype, casting)), name, shape };
  }
  const size = bytesPerElement(tensor.dtype);
  const cast = async (read: StoredTensor['read'], count: number, into: Uint8Array | undefined) => {
    if (!FLOAT_TYPES.has(tensor.dtype))
      throw new CheckpointError(`${tensor.name}: expected floating-point weights, got ${tensor.dtype}`);
    const bytes = await read(tensor.dtype === dtype ? into : scratchOf(casting, count * size));
    return castBytes(bytes, tensor, dtype, casting, into);
  };
  const { readElements } = tensor;
  return {
    name: tensor.name,
    shape: tensor.shape,
    dtype,
    read: (into) => cast((scratch) => tensor.read(scratch), elementCount(tensor.shape), into),
    ...(readElements && {
      readElements: (start, count, into) =>
        cast((scratch) => readElements.call(tensor, start, count, scratch), count, into),
    }),
  };
}

function scratchOf(casting: Casting, bytes: number): Uint8Array {
  const { scratch } = roundingOf(casting);
  if (bytes <= scratch.length) return scratch;
  if ((casting.scratch?.length ?? 0) < bytes) casting.scratch = new Uint8Array(bytes);
  return casting.scratch as Uint8Array;
}

function roundingOf(casting: Casting): Rounding {
  casting.rounding ??= new Rounding();
  return casting.rounding;
}

function castBytes(
  bytes: Uint8Array,
  tensor: StoredTensor,
  dtype: Storage,
  casting: Casting,
  into: Uint8Array | undefined,
): Uint8Array {
  const values = toFloat32(bytes, tensor.dtype);
  if (tensor.dtype === dtype || dtype === 'F32') {
    casting.nonFinite += countNonFinite(values, dtype, tensor.name);
    return tensor.dtype === dtype ? bytes : encodeFloat32(values, dtype);
  }
  const rounded = into ? new Uint16Array(into.buffer, into.byteOffset, values.length) : new Uint16Array(values.length);
  if (roundingOf(casting).round(values, dtype, rounded))
    casting.nonFinite += countNonFinite(values, dtype, tensor.name);
  return new Uint8Array(rounded.buffer, rounded.byteOffset, rounded.byteLength);
}

/** By their bits: comparing whole numbers takes half the time. */
function countNonFinite(values: Float32Array, dtype: Storage, name: string): number {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const largest = LARGEST_FINITE[dtype];
  let count = 0;
  for (let i = 0; i < bits.length; i++) {
    const magnitude = (bits[i] as number) & 0x7fffffff;
    if (magnitude <= largest) continue;
    if (magnitude < INFINITY_BITS)
      throw new CheckpointError(`${name}: ${values[i]} does not fit into float16; convert with --dtype bfloat16`);
    count++;
  }
  return count;
}
