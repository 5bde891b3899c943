import { FormatError } from '../errors.ts';
import type { Shape } from '../shape.ts';
import { type ByteSource, takeOver } from './byte-source.ts';
import { bytesPerElement, isStoredDtype } from './dtypes.ts';
import { GroupedReads } from './grouped-reads.ts';
import { quoted } from './quoted.ts';
import type { StoredDtype, StoredTensor, TensorArchive } from './stored-tensor.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from './strict-json.ts';

/** The limit of the reference implementation (safetensors 0.8, `MAX_HEADER_SIZE`). */
export const MAX_HEADER_BYTES = 100_000_000;
/** The header's own length comes first, as an unsigned 64-bit number. */
const LENGTH_BYTES = 8;

interface Entry {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: Shape;
  /** [begin, end) in bytes, from the first byte after the header. */
  readonly begin: number;
  readonly end: number;
}

/**
 * The tensors of a safetensors file, checked as the reference implementation does: the tensors cover the file after
 * the header exactly, without overlap or hole, each with as many bytes as its shape and type need.
 * Takes over `source`, also when it fails.
 * @throws FormatError when the file breaks a rule of the format.
 */
export function openSafetensors(source: ByteSource): Promise<TensorArchive> {
  return takeOver(source, async () => {
    const header = await readHeader(source);
    const dataStart = LENGTH_BYTES + header.bytes;
    const entries = Object.entries(header.fields)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, field]) => parseEntry(source.name, name, field));
    assertCovers(source.name, entries, source.size - dataStart);
    return {
      name: source.name,
      tensors: storedTensors(source, dataStart, entries),
      metadata: parseMetadata(source.name, header.fields),
      close: () => source.close(),
    };
  });
}

async function readHeader(source: ByteSource): Promise<{ fields: JsonObject; bytes: number }> {
  const start = await source.read(0, LENGTH_BYTES);
  const bytes = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (bytes > MAX_HEADER_BYTES) {
    throw new FormatError(
      `${source.name}: expected a safetensors header of at most ${MAX_HEADER_BYTES} bytes, got ${bytes}; this is no safetensors file or a damaged one, get it again`,
    );
  }
  const header = await source.read(LENGTH_BYTES, bytes);
  if (header[0] !== 0x7b) {
    throw new FormatError(`${source.name}: expected a safetensors header that starts with "{"; get the file again`);
  }
  return { fields: parseStrictJson(`${source.name}: header`, decodeUtf8(source.name, header)), bytes };
}

function decodeUtf8(where: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(`${where}: expected a header in UTF-8; the file is damaged, get it again`, { cause });
  }
}

function parseEntry(file: string, name: string, field: unknown): Entry {
  const where = `${file}: tensor ${quoted(name)}`;
  if (!isJsonObject(field))
    throw new FormatError(`${where}: expected {dtype, shape, data_offsets}; get the file again`);
  const { dtype, shape, data_offsets: offsets } = field;
  if (typeof dtype !== 'string' || !isStoredDtype(dtype)) {
    throw new FormatError(`${where}: the element type ${quoted(dtype)} is not read; save it as F32, F16 or BF16`);
  }
  if (!isSizes(shape)) throw new FormatError(`${where}: expected a shape of whole numbers, got ${quoted(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw new FormatError(`${where}: expected data_offsets [begin, end], got ${quoted(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const expected = byteLength(where, shape, dtype);
  if (end - begin !== expected) {
    throw new FormatError(
      `${where}: expected ${expected} bytes for ${dtype} [${shape.join(', ')}], got data_offsets [${begin}, ${end}]; get the file again`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/**
 * Bytes of a tensor.
 * @throws FormatError when they are more than 2^53, where numbers stop being exact.
 */
export function byteLength(where: string, shape: Shape, dtype: StoredDtype): number {
  const sizes = shape.includes(0) ? [0] : shape; // an empty tensor may have any other sizes
  let bytes = bytesPerElement(dtype);
  for (const size of sizes) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) {
      throw new FormatError(`${where}: the shape [${shape.join(', ')}] is too large to be real; do not use this file`);
    }
  }
  return bytes;
}

/** Every byte after the header belongs to exactly one tensor. */
function assertCovers(file: string, entries: readonly Entry[], dataBytes: number): void {
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) {
      throw new FormatError(
        `${file}: tensor ${quoted(name)}: expected to begin at ${covered}, where the one before it ends, got ${begin}; tensors may not overlap or leave holes, get the file again`,
      );
    }
    covered = end;
  }
  if (covered !== dataBytes) {
    throw new FormatError(
      `${file}: expected ${covered} bytes of tensors, got ${dataBytes}; the file was cut or something was added, get it again`,
    );
  }
}

function parseMetadata(file: string, fields: JsonObject): ReadonlyMap<string, string> {
  if (!Object.hasOwn(fields, '__metadata__')) return new Map();
  const metadata = fields.__metadata__;
  const strings = isJsonObject(metadata) ? Object.entries(metadata) : undefined;
  if (!strings?.every((pair): pair is [string, string] => typeof pair[1] === 'string')) {
    throw new FormatError(`${file}: expected __metadata__ to map names to strings; get the file again`);
  }
  return new Map(strings);
}

function storedTensors(
  source: ByteSource,
  dataStart: number,
  entries: readonly Entry[],
): ReadonlyMap<string, StoredTensor> {
  const reads = new GroupedReads(
    source,
    entries.map(({ begin, end }) => ({ begin: dataStart + begin, end: dataStart + end })),
  );
  const storedTensor = ({ name, dtype, shape, begin, end }: Entry): StoredTensor => {
    const size = bytesPerElement(dtype);
    return {
      name,
      dtype,
      shape,
      read: (into) => reads.read({ begin: dataStart + begin, end: dataStart + end }, into),
      readElements: (start, count, into) => source.read(dataStart + begin + start * size, count * size, into),
    };
  };
  return new Map(entries.map((entry) => [entry.name, storedTensor(entry)]));
}
