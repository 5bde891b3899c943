import { createHash } from 'node:crypto';
import { TORCH_DTYPES, toFloat32 } from '../../../src/checkpoint/dtypes.ts';
import type { StoredTensor } from '../../../src/checkpoint/stored-tensor.ts';

/** A tensor as PyTorch read it: test/fixtures/torch_values.py. */
export interface TorchValue {
  shape: number[];
  dtype: string;
  /** Up to four values as Python prints them. */
  first: string[];
  sha256: string;
}

/** The same description of a tensor as we read it, with the values that `expected` has. */
export async function described(
  tensor: Omit<StoredTensor, 'name'>,
  expected: TorchValue | undefined,
): Promise<TorchValue> {
  const bytes = await tensor.read();
  const values = tensor.dtype === 'C64' ? [] : [...toFloat32(bytes, tensor.dtype).subarray(0, 4)];
  const asPython = (text: string | undefined) => Number(text?.replace('inf', 'Infinity'));
  const first = values.map((value, i) =>
    Object.is(asPython(expected?.first[i]), value) ? expected!.first[i]! : String(value),
  );
  return {
    shape: [...tensor.shape],
    dtype: [...TORCH_DTYPES].find(([, stored]) => stored === tensor.dtype)![0],
    first,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}
