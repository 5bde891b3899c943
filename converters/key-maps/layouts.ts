import { bytesPerElement } from '../../src/checkpoint/dtypes.ts';
import { type DivisibleTensor, isDivisible, type StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../../src/errors.ts';
import { sameShape } from '../../src/shape.ts';

/** How much of a matrix is held beside its transpose, where the file can be read in pieces. */
const BAND_BYTES = 4 * 2 ** 20;
/** Memory of bands that are done, for the next. */
const free: Uint8Array[] = [];

/** [out,in] → [in,out]. */
export function transposed(name: string, tensor: StoredTensor, bandBytes = BAND_BYTES): StoredTensor {
  const [rows = 0, columns = 0] = tensor.shape;
  const size = bytesPerElement(tensor.dtype);
  const inBands = async (matrix: DivisibleTensor, into: Uint8Array | undefined) => {
    const out =
      into?.byteOffset === 0 ? into.subarray(0, rows * columns * size) : new Uint8Array(rows * columns * size);
    const most = Math.max(1, Math.floor(bandBytes / (columns * size)));
    const band =
      columns * size <= bandBytes && bandBytes === BAND_BYTES ? (free.pop() ?? new Uint8Array(bandBytes)) : undefined;
    for (let top = 0; top < rows; top += most) {
      const height = Math.min(most, rows - top);
      const bytes = await matrix.readElements(top * columns, height * columns, band);
      transposeInto(out, bytes, size, { rows, top, height, columns });
    }
    if (band) free.push(band);
    return out;
  };
  return {
    name,
    dtype: tensor.dtype,
    shape: [columns, rows],
    read: async (into) =>
      isDivisible(tensor) ? inBands(tensor, into) : transposeMatrix(await tensor.read(), size, rows, columns),
  };
}

/** [out,in,1,1] → [out,in], the same bytes. @throws CheckpointError when the convolution is not 1×1. */
export function squeezed(tensor: StoredTensor): StoredTensor {
  const [out = 0, inner = 0, height, width] = tensor.shape;
  if (height !== 1 || width !== 1)
    throw new CheckpointError(`${tensor.name}: expected a 1×1 convolution, got [${tensor.shape.join(', ')}]`);
  return { ...tensor, shape: [out, inner] };
}

/** OIHW → HWIO: [O, I·H·W] → [I·H·W, O], then the rows from (i, hw) order to (hw, i). */
export function hwioFromOihw(name: string, tensor: StoredTensor): StoredTensor {
  const [o = 0, i = 0, h = 0, w = 0] = tensor.shape;
  const size = bytesPerElement(tensor.dtype);
  return {
    name,
    dtype: tensor.dtype,
    shape: [h, w, i, o],
    read: async () => {
      const rows = transposeMatrix(await tensor.read(), size, o, i * h * w); // [i,hw,o]
      const row = o * size;
      const out = new Uint8Array(rows.length);
      for (let channel = 0; channel < i; channel++) {
        for (let at = 0; at < h * w; at++) {
          const start = (channel * h * w + at) * row;
          out.set(rows.subarray(start, start + row), (at * i + channel) * row);
        }
      }
      return out;
    },
  };
}

/** Tensors of one type, stacked along the first axis. */
export function stacked(name: string, parts: readonly StoredTensor[]): StoredTensor {
  const [first] = parts;
  if (!first) throw new CheckpointError(`${name}: nothing to stack`);
  const odd = parts.find((part) => part.dtype !== first.dtype || !sameShape(part.shape.slice(1), first.shape.slice(1)));
  if (odd) {
    throw new CheckpointError(
      `${odd.name}: expected ${first.dtype} […, ${first.shape.slice(1).join(', ')}] as ${first.name}, got ${odd.dtype} [${odd.shape.join(', ')}]`,
    );
  }
  const rows = parts.reduce((sum, part) => sum + (part.shape[0] ?? 1), 0);
  return {
    name,
    dtype: first.dtype,
    shape: [rows, ...first.shape.slice(1)],
    read: async () => {
      const chunks: Uint8Array[] = [];
      for (const part of parts) chunks.push(await part.read());
      const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
      let at = 0;
      for (const chunk of chunks) {
        out.set(chunk, at);
        at += chunk.length;
      }
      return out;
    },
  };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Side of the squares in which a matrix is walked, so that both sides of the copy stay in cache. */
const TILE = 16;

type Elements = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

function transposeMatrix(bytes: Uint8Array, size: number, rows: number, columns: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  transposeInto(out, bytes, size, { rows, top: 0, height: rows, columns });
  return out;
}

/** Neighbouring rows of a matrix. */
interface Band {
  /** Of the whole matrix. */
  readonly rows: number;
  /** The band's first row, and how many it has. */
  readonly top: number;
  readonly height: number;
  readonly columns: number;
}

/** Writes a band's rows as columns of the transpose. */
function transposeInto(out: Uint8Array, bytes: Uint8Array, size: number, { rows, top, height, columns }: Band): void {
  const source = elements(bytes, size) as Uint32Array; // one static type for four element widths
  const to = elements(out, size) as Uint32Array;
  for (let upper = 0; upper < height; upper += TILE) {
    for (let left = 0; left < columns; left += TILE) {
      const lower = Math.min(upper + TILE, height);
      const right = Math.min(left + TILE, columns);
      for (let row = upper; row < lower; row++) {
        for (let column = left; column < right; column++)
          to[column * rows + top + row] = source[row * columns + column] as number;
      }
    }
  }
}

function elements(bytes: Uint8Array, size: number): Elements {
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  if (size === 8) return new BigUint64Array(buffer, byteOffset, byteLength / 8);
  if (size === 4) return new Uint32Array(buffer, byteOffset, byteLength / 4);
  return size === 2 ? new Uint16Array(buffer, byteOffset, byteLength / 2) : aligned;
}
