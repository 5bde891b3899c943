import { bytesPerElement } from '../../src/checkpoint/dtypes.ts';
import { type DivisibleTensor, isDivisible, type StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../../src/errors.ts';
import { sameShape } from '../../src/shape.ts';

/** How much of a matrix is read at once, where the file can be read in pieces. */
const BAND_BYTES = 2 ** 19;
/** Memory of bands that are done, for the next. */
const free: Uint8Array[] = [];

/** [out,in] → [in,out]. */
export function transposed(name: string, tensor: StoredTensor, bandBytes = BAND_BYTES): StoredTensor {
  const [rows = 0, columns = 0] = tensor.shape;
  return {
    name,
    dtype: tensor.dtype,
    shape: [columns, rows],
    read: async (into) =>
      isDivisible(tensor)
        ? transposeInBands(tensor, bandBytes, into)
        : transposeMatrix(await tensor.read(), bytesPerElement(tensor.dtype), rows, columns),
    mapElements: (change) => transposed(name, change(tensor), bandBytes),
  };
}

/** A matrix by bands of rows: one is read while the one before is written as columns. */
async function transposeInBands(matrix: DivisibleTensor, bandBytes: number, into?: Uint8Array): Promise<Uint8Array> {
  const [rows = 0, columns = 0] = matrix.shape;
  const size = bytesPerElement(matrix.dtype);
  const total = rows * columns * size;
  const out = into?.byteOffset === 0 ? into.subarray(0, total) : new Uint8Array(total);
  const most = Math.max(1, 4 * Math.floor(bandBytes / (4 * columns * size)));
  const bands = [takeBand(most * columns * size), takeBand(most * columns * size)];
  const bandFrom = (top: number) => {
    const bytes = matrix.readElements(top * columns, Math.min(most, rows - top) * columns, bands[(top / most) % 2]);
    bytes.catch(() => {}); // told when it is asked for
    return bytes;
  };
  let next = rows > 0 ? bandFrom(0) : undefined;
  for (let top = 0; next; top += most) {
    const bytes = await next;
    next = top + most < rows ? bandFrom(top + most) : undefined;
    transposeInto(out, bytes, size, { rows, top, height: Math.min(most, rows - top), columns });
  }
  free.push(...bands.filter(({ length }) => length === BAND_BYTES));
  return out;
}

function takeBand(bytes: number): Uint8Array {
  return bytes > BAND_BYTES ? new Uint8Array(bytes) : (free.pop() ?? new Uint8Array(BAND_BYTES));
}

/** [out,in,1,1] → [out,in], the same bytes. @throws CheckpointError when the convolution is not 1×1. */
export function squeezed(tensor: StoredTensor): StoredTensor {
  const [out = 0, inner = 0, height, width] = tensor.shape;
  if (height !== 1 || width !== 1)
    throw new CheckpointError(`${tensor.name}: expected a 1×1 convolution, got [${tensor.shape.join(', ')}]`);
  return { ...tensor, shape: [out, inner], mapElements: (change) => squeezed(change(tensor)) };
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
    mapElements: (change) => hwioFromOihw(name, change(tensor)),
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
    mapElements: (change) => stacked(name, parts.map(change)),
  };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** A matrix is walked in tiles, one below the other, so that both sides of the copy stay in cache. */
const TILE_ROWS = 64;
const TILE_COLUMNS = 32;

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

/** Rows and columns of a band, from the first to behind the last. */
interface Tile {
  readonly upper: number;
  readonly lower: number;
  readonly left: number;
  readonly right: number;
}

/** Writes a band's rows as columns of the transpose. */
function transposeInto(out: Uint8Array, bytes: Uint8Array, size: number, band: Band): void {
  const { rows, top, columns, height } = band;
  const inFours = size === 2 && columns % 2 === 0 && [rows, top, height].every((count) => count % 4 === 0);
  const width = inFours ? 4 : size;
  const [to, source] = [elements(out, width) as Uint32Array, elements(bytes, width) as Uint32Array]; // one type for four
  const transposeTile = inFours ? transposeFours : transposeElements;
  for (let left = 0; left < columns; left += TILE_COLUMNS) {
    const right = Math.min(left + TILE_COLUMNS, columns);
    for (let upper = 0; upper < height; upper += TILE_ROWS)
      transposeTile(to, source, band, { upper, lower: Math.min(upper + TILE_ROWS, height), left, right });
  }
}

function transposeElements(to: Uint32Array, source: Uint32Array, { rows, top, columns }: Band, tile: Tile): void {
  for (let row = tile.upper; row < tile.lower; row++) {
    const end = row * columns + tile.right;
    let at = tile.left * rows + top + row;
    for (let from = row * columns + tile.left; from < end; from++) {
      to[at] = source[from] as number;
      at += rows;
    }
  }
}

/** As `transposeElements`, of 16 bits each: 4 rows × 2 columns are turned in four words, in half the time. */
function transposeFours(to: Uint32Array, source: Uint32Array, { rows, top, columns }: Band, tile: Tile): void {
  const words = columns / 2;
  const toWords = rows / 2;
  for (let row = tile.upper; row < tile.lower; row += 4) {
    const end = row * words + tile.right / 2;
    let at = tile.left * toWords + (top + row) / 2;
    for (let from = row * words + tile.left / 2; from < end; from++) {
      const first = source[from] as number;
      const second = source[from + words] as number;
      const third = source[from + 2 * words] as number;
      const fourth = source[from + 3 * words] as number;
      to[at] = (first & 0xffff) | (second << 16);
      to[at + 1] = (third & 0xffff) | (fourth << 16);
      to[at + toWords] = (first >>> 16) | (second & 0xffff0000);
      to[at + toWords + 1] = (third >>> 16) | (fourth & 0xffff0000);
      at += 2 * toWords;
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
