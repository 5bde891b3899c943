import { bytesPerElement, toFloat32 } from './dtypes.ts';
import { isDivisible, type StoredTensor } from './stored-tensor.ts';

/**
 * Rows of a matrix [R,C] in float32, by their numbers from 0 to R − 1. Each is read once and the others are not, where the
 * format allows it; else the matrix is read whole.
 */
export async function gatherRows(
  matrix: StoredTensor,
  rows: Iterable<number>,
): Promise<ReadonlyMap<number, Float32Array>> {
  const { dtype, shape } = matrix;
  const [, columns = 0] = shape;
  const readElements = isDivisible(matrix)
    ? matrix.readElements
    : piecesOf(await matrix.read(), bytesPerElement(dtype));
  const gathered = new Map<number, Float32Array>();
  for (const row of new Set(rows)) gathered.set(row, toFloat32(await readElements(row * columns, columns), dtype));
  return gathered;
}

function piecesOf(bytes: Uint8Array, size: number): (start: number, count: number) => Promise<Uint8Array> {
  return async (start, count) => bytes.slice(start * size, (start + count) * size);
}
