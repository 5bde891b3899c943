import { encodeFloat32, toFloat32 } from '../src/checkpoint/dtypes.ts';
import type { StoredTensor } from '../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../src/errors.ts';

/** What was met while casting. */
export interface FloatCounts {
  nonFinite: number;
}

const FLOAT_TYPES = new Set(['F64', 'F32', 'F16', 'BF16']);
const FLOAT16_MAX = 65504;

/**
 * A weight in another storage type, cast as it is read.
 * @throws CheckpointError when read: integers are no weights, and float16 cannot hold what is beyond ±65504.
 */
export function castTensor(tensor: StoredTensor, dtype: 'F32' | 'F16' | 'BF16', counts: FloatCounts): StoredTensor {
  return {
    name: tensor.name,
    shape: tensor.shape,
    dtype,
    read: async () => {
      if (!FLOAT_TYPES.has(tensor.dtype))
        throw new CheckpointError(`${tensor.name}: expected floating-point weights, got ${tensor.dtype}`);
      const bytes = await tensor.read();
      const values = toFloat32(bytes, tensor.dtype);
      counts.nonFinite += countNonFinite(values, dtype === 'F16' ? FLOAT16_MAX : Number.MAX_VALUE, tensor.name);
      return tensor.dtype === dtype ? bytes : encodeFloat32(values, dtype);
    },
  };
}

function countNonFinite(values: Float32Array, largest: number, name: string): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i] as number);
    if (size <= largest) continue;
    if (size < Number.POSITIVE_INFINITY)
      throw new CheckpointError(`${name}: ${values[i]} does not fit into float16; convert with --dtype bfloat16`);
    count++;
  }
  return count;
}
