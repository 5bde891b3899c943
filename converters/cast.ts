import { bytesPerElement, encodeFloat32, toFloat32 } from '../src/checkpoint/dtypes.ts';
import type { StoredTensor } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../src/errors.ts';
import { elementCount } from '../src/shape.ts';

/** What was met while casting, and the memory that it goes through. */
export interface Casting {
  nonFinite: number;
  /** Of the largest tensor before it is cast; made when it is needed. */
  scratch?: Uint8Array;
}

const FLOAT_TYPES = new Set(['F64', 'F32', 'F16', 'BF16']);
/** The largest finite values, as bits of a float32: 65504 is that of float16. */
const LARGEST = { F32: 0x7f7fffff, BF16: 0x7f7fffff, F16: 0x477fe000 } as const;
const INFINITY_BITS = 0x7f800000;

/**
 * A weight in another storage type, cast as it is read: one at a time, for they share their memory.
 * @throws CheckpointError when read: integers are no weights, and float16 cannot hold what is beyond ±65504.
 */
export function castTensor(tensor: StoredTensor, dtype: 'F32' | 'F16' | 'BF16', casting: Casting): StoredTensor {
  const { name, shape } = tensor;
  const stored = elementCount(shape) * bytesPerElement(tensor.dtype);
  return {
    name,
    shape,
    dtype,
    read: async (into) => {
      if (!FLOAT_TYPES.has(tensor.dtype))
        throw new CheckpointError(`${name}: expected floating-point weights, got ${tensor.dtype}`);
      const bytes = await tensor.read(tensor.dtype === dtype ? into : scratchOf(casting, stored));
      const values = toFloat32(bytes, tensor.dtype);
      casting.nonFinite += countNonFinite(values, LARGEST[dtype], name);
      return tensor.dtype === dtype ? bytes : encodeFloat32(values, dtype, into);
    },
  };
}

function scratchOf(casting: Casting, bytes: number): Uint8Array {
  if ((casting.scratch?.length ?? 0) < bytes) casting.scratch = new Uint8Array(bytes);
  return casting.scratch as Uint8Array;
}

/** By their bits: comparing whole numbers takes half the time. */
function countNonFinite(values: Float32Array, largest: number, name: string): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
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
