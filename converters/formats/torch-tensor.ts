import { bytesPerElement } from '../../src/checkpoint/dtypes.ts';
import type { StoredDtype } from '../../src/checkpoint/stored-tensor.ts';
import { FormatError } from '../../src/errors.ts';
import { elementCount, type Shape } from '../../src/shape.ts';

/** A piece of memory that torch saved; several tensors may be views of it. */
export class TorchStorage {
  /**
   * @param name shown in errors: the entry of the zip.
   * @param dtype undefined for untyped storages, where the tensor names its type.
   * @param size in bytes.
   * @param read gives `length` bytes from `offset`, in memory of their own; as of ByteSource.read
   */
  constructor(
    readonly name: string,
    readonly dtype: StoredDtype | undefined,
    readonly size: number,
    readonly bigEndian: boolean,
    readonly read: (offset: number, length: number, into?: Uint8Array) => Promise<Uint8Array>,
  ) {}
}

/** Where in its storage a tensor lies, all in elements. */
export interface StridedView {
  readonly shape: Shape;
  readonly strides: Shape;
  readonly offset: number;
}

/** torch's own limit is 64; a checkpoint needs 4. */
const MAX_RANK = 64;
/** A view may repeat elements (stride 0), and so be larger than the file; up to here it is written out. */
const MAX_EXPANDED_BYTES = 256 * 2 ** 20;

/** A tensor of a torch file. Each view reads its own bytes only, so a shared storage is never read as a whole. */
export class TorchTensor {
  readonly shape: Shape;

  /** @throws FormatError when the view does not lie inside the storage. */
  constructor(
    private readonly storage: TorchStorage,
    readonly dtype: StoredDtype,
    private readonly view: StridedView,
  ) {
    this.shape = view.shape;
    assertInStorage(storage, dtype, view);
  }

  /** Whether the elements lie side by side in the storage, in their own order. */
  get isContiguous(): boolean {
    return isContiguous(this.view);
  }

  /** `count` elements of a contiguous tensor from the element `start`, little-endian. */
  async readElements(start: number, count: number, into?: Uint8Array): Promise<Uint8Array> {
    const size = bytesPerElement(this.dtype);
    const bytes = await this.storage.read((this.view.offset + start) * size, count * size, into);
    return this.storage.bigEndian ? swapped(bytes, this.dtype) : bytes;
  }

  /** The elements, row-major, little-endian, without gaps. @param into as of StoredTensor.read */
  async read(into?: Uint8Array): Promise<Uint8Array> {
    const size = bytesPerElement(this.dtype);
    const { shape, offset } = this.view;
    const count = countOf(shape);
    if (count === 0) return new Uint8Array();
    const whole = isContiguous(this.view);
    const bytes = await this.storage.read(offset * size, spanOf(this.view) * size, whole ? into : undefined);
    const packed = whole ? bytes : gather(bytes, this.view, count, size);
    return this.storage.bigEndian ? swapped(packed, this.dtype) : packed;
  }
}

function assertInStorage(storage: TorchStorage, dtype: StoredDtype, view: StridedView): void {
  const { shape, strides, offset } = view;
  if (shape.length > MAX_RANK || strides.length !== shape.length) {
    throw new FormatError(
      `${storage.name}: a tensor of ${shape.length} sizes and ${strides.length} strides; get the file again`,
    );
  }
  const refused = (why: string) =>
    new FormatError(`${storage.name}: a tensor of shape [${shape}], strides [${strides}] and offset ${offset} ${why}`);
  const size = bytesPerElement(dtype);
  const count = countOf(shape);
  const span = count === 0 ? 0 : spanOf(view);
  const end = (offset + span) * size;
  if (!Number.isSafeInteger(end) || end > storage.size) {
    throw refused(`is not inside its ${storage.size} bytes; the file is damaged, get it again`);
  }
  if (count > span && !(count * size <= MAX_EXPANDED_BYTES)) {
    throw refused(`repeats few elements to more than ${MAX_EXPANDED_BYTES} bytes; save it with .contiguous()`);
  }
}

/** An empty tensor may have any other sizes, whose product could be no number. */
function countOf(shape: Shape): number {
  return shape.includes(0) ? 0 : elementCount(shape);
}

/** Elements from the first to the last that a non-empty view reaches. */
function spanOf({ shape, strides }: StridedView): number {
  return shape.reduce((span, size, i) => span + (size - 1) * (strides[i] as number), 1);
}

function isContiguous({ shape, strides }: StridedView): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const size = shape[i] as number;
    if (size !== 1 && strides[i] !== expected) return false;
    expected *= size;
  }
  return true;
}

/** Copies a strided view out of the bytes from its first to its last element. */
function gather(bytes: Uint8Array, { shape, strides }: StridedView, count: number, size: number): Uint8Array {
  const [source, unitsPerElement] = asUnits(bytes, size);
  const packed = new (source.constructor as typeof Uint8Array)(count * unitsPerElement);
  const inner = shape.at(-1) as number;
  const innerStride = strides.at(-1) as number;
  const index = new Array<number>(shape.length).fill(0);
  let row = 0; // where in the source the current innermost row begins, in elements
  for (let to = 0; to < packed.length; ) {
    for (let i = 0, from = row * unitsPerElement; i < inner; i++, from += innerStride * unitsPerElement) {
      for (let unit = 0; unit < unitsPerElement; unit++) packed[to++] = source[from + unit] as number;
    }
    row += step(index, shape, strides);
  }
  return new Uint8Array(packed.buffer);
}

/** Advances the index of all dimensions but the last by one, and gives the distance moved in the source. */
function step(index: number[], shape: Shape, strides: Shape): number {
  let moved = 0;
  for (let i = shape.length - 2; i >= 0; i--) {
    const stride = strides[i] as number;
    const next = (index[i] as number) + 1;
    if (next < (shape[i] as number)) {
      index[i] = next;
      return moved + stride;
    }
    moved -= (next - 1) * stride;
    index[i] = 0;
  }
  return moved;
}

/** Elements as whole numbers, two for those of 8 bytes: copied as floats, a NaN could change. */
function asUnits(bytes: Uint8Array, size: number): [Uint8Array | Uint16Array | Uint32Array, number] {
  if (size === 1) return [bytes, 1];
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  if (size === 2) return [new Uint16Array(buffer, byteOffset, bytes.length / 2), 1];
  return [new Uint32Array(buffer, byteOffset, bytes.length / 4), size / 4];
}

/** Reverses the bytes of each number; a complex element is two. */
function swapped(bytes: Uint8Array, dtype: StoredDtype): Uint8Array {
  const size = dtype === 'C64' ? 4 : bytesPerElement(dtype);
  const result = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i += size) {
    for (let k = 0; k < size; k++) result[i + k] = bytes[i + size - 1 - k] as number;
  }
  return result;
}
