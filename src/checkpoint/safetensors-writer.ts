import { FormatError, OptionError } from '../errors.ts';
import { bytesPerElement } from './dtypes.ts';
import { byteLength, MAX_HEADER_BYTES } from './safetensors.ts';
import type { StoredTensor } from './stored-tensor.ts';

/** The data starts at a multiple of this, so that readers may map it into memory. */
const ALIGNMENT = 8;

/**
 * Writes a safetensors file piece by piece: one tensor is written while the next is read. Equal input gives equal bytes: tensors and
 * metadata are written in the order given.
 * @param write receives the pieces in order, the next when its promise is fulfilled; a piece is not changed before.
 * @param allocate makes the memory that most pieces lie in
 * @throws OptionError when a name is used twice, or a tensor would lie at an offset that PyTorch's reader cannot view:
 * give larger element types first. FormatError when a tensor does not deliver the bytes of its shape.
 */
export async function writeSafetensors(
  write: (bytes: Uint8Array) => Promise<void>,
  tensors: readonly StoredTensor[],
  metadata: ReadonlyMap<string, string> = new Map(),
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Promise<void> {
  const begin = (bytes: Uint8Array): Promise<void> => {
    const written = write(bytes);
    written.catch(() => {}); // told when it is waited for
    return written;
  };
  let writing = begin(encodeHeader(tensors, metadata));
  const sizes = tensors.map(({ name, shape, dtype }) => byteLength(name, shape, dtype));
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const buffers = [allocate(largest), allocate(largest)];
  try {
    for (const [i, tensor] of tensors.entries()) {
      const bytes = await tensor.read(buffers[i % 2]);
      assertBytes(tensor, bytes, sizes[i] as number);
      await writing;
      writing = begin(bytes);
    }
  } catch (error) {
    await writing.catch(() => {});
    throw error;
  }
  await writing;
}

function assertBytes({ name, shape, dtype }: StoredTensor, bytes: Uint8Array, expected: number): void {
  if (bytes.length === expected) return;
  throw new FormatError(`${name}: expected ${expected} bytes for ${dtype} [${shape.join(', ')}], got ${bytes.length}`);
}

/** Built as text, because an object would move names such as "0" to the front. */
function encodeHeader(tensors: readonly StoredTensor[], metadata: ReadonlyMap<string, string>): Uint8Array {
  const names = new Set<string>(['__metadata__']);
  const fields: string[] = [];
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    fields.push(`"__metadata__":{${pairs.join(',')}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name)) throw new OptionError(`the tensor name ${JSON.stringify(name)} is used twice; rename one`);
    if (offset % bytesPerElement(dtype) !== 0) {
      throw new OptionError(`${name}: ${dtype} would lie at the odd offset ${offset}; give larger element types first`);
    }
    names.add(name);
    const end = offset + byteLength(name, shape, dtype);
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  return frame(new TextEncoder().encode(`{${fields.join(',')}}`));
}

/** The header's length, the header, and spaces up to the alignment. */
function frame(header: Uint8Array): Uint8Array {
  const padded = Math.ceil(header.length / ALIGNMENT) * ALIGNMENT;
  if (padded > MAX_HEADER_BYTES) {
    throw new OptionError(
      `a header of ${padded} bytes is more than the ${MAX_HEADER_BYTES} readers take; write several files`,
    );
  }
  const framed = new Uint8Array(8 + padded).fill(0x20);
  new DataView(framed.buffer).setBigUint64(0, BigInt(padded), true);
  framed.set(header, 8);
  return framed;
}
