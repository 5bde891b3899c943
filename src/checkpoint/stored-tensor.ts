import type { Shape } from '../shape.ts';

/** Element types of checkpoint files, by their safetensors names. */
export type StoredDtype =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F8_E4M3'
  | 'F8_E5M2'
  | 'C64'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL';

/** A tensor in a file: known by name, shape and type, read only when asked. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: Shape;
  /**
   * The elements, row-major, little-endian, without gaps: `elementCount(shape) * bytesPerElement(dtype)` bytes.
   * @param into at least as many bytes, which may be used for them; the caller looks at what is returned
   */
  read(into?: Uint8Array): Promise<Uint8Array>;
  /**
   * `count` elements from the element `start`, in the order of `read`, and none of the others. Absent where the elements
   * do not lie side by side in the file. @param into as of `read`
   */
  readElements?(start: number, count: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * The same tensor with its elements changed before they are moved to their places: `change` is given the tensors that
   * it is made of, each as it lies in a file. Absent where nothing is moved.
   */
  mapElements?(change: (stored: StoredTensor) => StoredTensor): StoredTensor;
}

/** A tensor of which a piece can be read alone. */
export type DivisibleTensor = StoredTensor & Required<Pick<StoredTensor, 'readElements'>>;

export function isDivisible(tensor: StoredTensor): tensor is DivisibleTensor {
  return tensor.readElements !== undefined;
}

/** What a format says of a piece of a file. */
export interface StoredChecksum {
  /** The file's path, as its source is called. */
  readonly file: string;
  /** Shown in errors. */
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly crc32: number;
}

/** The tensors of one checkpoint, whatever its format. `close` releases the files. */
export interface TensorArchive {
  /** Shown in errors. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** String metadata of the format (safetensors `__metadata__`), empty where there is none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Absent where the format has none (safetensors, torch's legacy files). */
  readonly checksums?: readonly StoredChecksum[] | undefined;
  close(): Promise<void>;
}
