import { type Entry, Reader, ZipReader } from '@zip.js/zip.js';
import { assertInside, type ByteSource } from '../../src/checkpoint/byte-source.ts';
import { quoted } from '../../src/checkpoint/quoted.ts';
import { DeltaDiTError, FormatError } from '../../src/errors.ts';
import { Crc32 } from './crc32.ts';

/** Where the bytes of one file in a zip lie; they are stored as they are. */
export interface ZipEntry {
  /** Path inside the zip. */
  readonly name: string;
  readonly dataOffset: number;
  readonly size: number;
  readonly crc32: number;
}

export interface ZipIndex {
  /** The one top folder. */
  readonly root: string;
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

/** DiT-XL/2 has 292 tensors, five times as many with EMA and optimiser; a longer index is there to cost time. */
const MAX_ENTRIES = 20_000;
/** Far more than the directory of so many entries; nothing else is read by zip.js. */
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;
const LOCAL_HEADER_BYTES = 30;
const LOCAL_HEADER_SIGNATURE = 0x04034b50;
const CENTRAL_HEADER_BYTES = 46;
const END_RECORD_BYTES = 22;
/** The zip64 end record and its locator, which torch always writes. */
const ZIP64_LOCATOR_BYTES = 20;
const ZIP64_RECORD_BYTES = 56 + ZIP64_LOCATOR_BYTES;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
/** At most so many after an entry repeat its checksum and sizes. */
const DESCRIPTOR_BYTES = 24;
const ENCRYPTED = 1;
const STORED = 0;
const CRC_CHUNK_BYTES = 8 * 2 ** 20;

/**
 * The index of a zip as `torch.save` writes it: stored entries in one top folder. Anything that another reader could
 * understand differently is refused. zip.js reads the directory; the local headers are read here, because only they
 * tell where the data begins.
 * @param recognise sees all names first, and may refuse the file for what it is.
 * @throws FormatError when the zip breaks one of these rules.
 */
export async function readZipIndex(
  source: ByteSource,
  recognise?: (names: readonly string[]) => void,
): Promise<ZipIndex> {
  const listed = await listEntries(source);
  recognise?.(listed.map((entry) => entry.filename));
  const [first] = listed;
  if (!first) throw new FormatError(`${source.name}: the zip is empty; get the file again`);
  const root = first.filename.split('/')[0] ?? '';
  const entries = new Map<string, ZipEntry>();
  for (const entry of listed) {
    assertReadable(source.name, entry, root);
    if (entries.has(entry.filename)) throw refused(source.name, entry, 'occurs twice');
    entries.set(entry.filename, await locate(source, entry));
  }
  const records = END_RECORD_BYTES + ((await hasZip64Record(source)) ? ZIP64_RECORD_BYTES : 0);
  assertCovers(source, listed, entries, records);
  return { root, entries };
}

/** @throws FormatError when the stored bytes do not have the checksum of the directory. */
export async function verifyCrc(source: ByteSource, entry: ZipEntry, onBytes?: (bytes: number) => void): Promise<void> {
  const { nativeCrc32 } = await import('#converters/formats/native-crc32');
  const crc = new Crc32(nativeCrc32);
  const buffer = new Uint8Array(Math.min(CRC_CHUNK_BYTES, entry.size));
  for (let done = 0; done < entry.size; ) {
    const length = Math.min(CRC_CHUNK_BYTES, entry.size - done);
    crc.update(await source.read(entry.dataOffset + done, length, buffer));
    done += length;
    onBytes?.(length);
  }
  if (crc.value !== entry.crc32) {
    throw new FormatError(
      `${source.name}: ${entry.name}: expected checksum ${hex(entry.crc32)}, got ${hex(crc.value)}; the file is damaged, get it again`,
    );
  }
}

async function listEntries(source: ByteSource): Promise<Entry[]> {
  const zip = new ZipReader(new SourceReader(source), { strictness: 'balanced', filenameValidation: 'strict' });
  const entries: Entry[] = [];
  try {
    for await (const entry of zip.getEntriesGenerator()) {
      if (entries.length === MAX_ENTRIES) throw new FormatError(`${source.name}: has more than ${MAX_ENTRIES} entries`);
      entries.push(entry);
    }
  } catch (cause) {
    if (cause instanceof DeltaDiTError) throw cause;
    throw new FormatError(`${source.name}: the zip directory cannot be read (${String(cause)}); get the file again`, {
      cause,
    });
  }
  // The zip64 record of torch is superfluous in a small file, and reported.
  const odd = zip.warnings?.find(({ reason }) => reason !== 'trailing central directory data');
  if (odd)
    throw new FormatError(
      `${source.name}: the zip is not as torch writes it (${odd.reason}); save it again with torch.save`,
    );
  return entries;
}

function assertReadable(where: string, entry: Entry, root: string): void {
  if (entry.encrypted) throw refused(where, entry, 'is encrypted');
  if (entry.compressionMethod !== STORED || entry.compressedSize !== entry.uncompressedSize) {
    throw refused(where, entry, 'is compressed, and torch.save never compresses');
  }
  if (root === '' || !entry.filename.startsWith(`${root}/`)) {
    throw refused(where, entry, `is outside the folder ${quoted(root)} that the first entry is in`);
  }
}

/** Reads the local header of an entry, which must agree with the directory, and finds its data behind it. */
async function locate(source: ByteSource, entry: Entry): Promise<ZipEntry> {
  const header = await source.read(entry.offset, LOCAL_HEADER_BYTES + entry.rawFilename.length);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const nameLength = view.getUint16(26, true);
  const name = header.subarray(LOCAL_HEADER_BYTES);
  const agrees =
    view.getUint32(0, true) === LOCAL_HEADER_SIGNATURE &&
    (view.getUint16(6, true) & ENCRYPTED) === 0 &&
    view.getUint16(8, true) === STORED &&
    nameLength === name.length &&
    name.every((byte, i) => byte === entry.rawFilename[i]) &&
    sizesAgree(view, entry);
  if (!agrees) throw refused(source.name, entry, 'has a header that differs from the directory');
  const dataOffset = entry.offset + LOCAL_HEADER_BYTES + nameLength + view.getUint16(28, true);
  assertInside(source, dataOffset, entry.uncompressedSize);
  return { name: entry.filename, dataOffset, size: entry.uncompressedSize, crc32: entry.crc32 ?? 0 };
}

/** torch leaves the local sizes zero; another writer may fill them in, with all ones when they are in zip64 fields. */
function sizesAgree(view: DataView, entry: Entry): boolean {
  return [18, 22].every((at) => {
    const size = view.getUint32(at, true);
    return size === 0 || size === 0xffffffff || size === entry.uncompressedSize;
  });
}

/**
 * Every byte of the file belongs to one entry, or to the directory at its end: nothing overlaps, and no other zip hides
 * between, before or after.
 */
function assertCovers(
  source: ByteSource,
  listed: readonly Entry[],
  entries: ReadonlyMap<string, ZipEntry>,
  recordBytes: number,
): void {
  let end = 0;
  for (const entry of [...listed].sort((a, b) => a.offset - b.offset)) {
    if (entry.offset < end) throw refused(source.name, entry, 'overlaps another entry');
    if (entry.offset > end + (end === 0 ? 0 : DESCRIPTOR_BYTES))
      throw refused(source.name, entry, 'follows unused bytes');
    const { dataOffset, size } = entries.get(entry.filename) as ZipEntry;
    end = dataOffset + size;
  }
  const directory = listed.reduce((bytes, { rawFilename, rawExtraField, rawComment }) => {
    return bytes + CENTRAL_HEADER_BYTES + rawFilename.length + rawExtraField.length + rawComment.length;
  }, recordBytes);
  const unused = source.size - end - directory;
  if (unused < 0) throw new FormatError(`${source.name}: its entries run into the directory; get the file again`);
  if (unused > DESCRIPTOR_BYTES) {
    throw new FormatError(`${source.name}: ${unused} bytes of the zip are unused; save it again with torch.save`);
  }
}

async function hasZip64Record(source: ByteSource): Promise<boolean> {
  const at = source.size - END_RECORD_BYTES - ZIP64_LOCATOR_BYTES;
  if (at < 0) return false;
  const signature = await source.read(at, 4);
  return new DataView(signature.buffer, signature.byteOffset).getUint32(0, true) === ZIP64_LOCATOR_SIGNATURE;
}

function refused(where: string, entry: Entry, why: string): FormatError {
  return new FormatError(
    `${where}: the zip entry ${quoted(entry.filename)} ${why}; save the file again with torch.save`,
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** A ByteSource as zip.js wants it. It reads past the end on purpose, and gets what there is. */
class SourceReader extends Reader<ByteSource> {
  constructor(private readonly source: ByteSource) {
    super(source);
    this.size = source.size;
  }

  override async readUint8Array(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const start = Math.max(0, Math.min(offset, this.size));
    const available = Math.max(0, Math.min(length, this.size - start));
    if (available > MAX_DIRECTORY_BYTES) {
      throw new FormatError(
        `${this.source.name}: expected a zip directory, got ${available} bytes of it; get the file again`,
      );
    }
    return new Uint8Array(await this.source.read(start, available));
  }
}
