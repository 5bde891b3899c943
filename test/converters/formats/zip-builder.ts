import { crc32 } from 'node:zlib';
import { assertInside, type ByteSource } from '../../../src/checkpoint/byte-source.ts';

/** One entry, with whatever a hostile writer may do to it. */
export interface BuiltEntry {
  name: string;
  /** A number is so many zero bytes, which take no memory. */
  content: Uint8Array | string | number;
  localName?: string;
  method?: number;
  flags?: number;
  /** Local header of another entry, by its place in the list. */
  sameHeaderAs?: number;
  crc?: number;
  /** Bytes of the local extra field, as torch pads with. */
  padding?: number;
  /** Size that the directory claims. */
  claimedSize?: number;
  localSize?: number;
}

export interface BuiltZip {
  entries: BuiltEntry[];
  before?: Uint8Array;
  after?: Uint8Array;
}

/** A zip as torch writes it (stored, sizes only in the directory, zip64 where needed), as a source with holes. */
export function zipSource(
  { entries, before, after }: BuiltZip,
  name = 'test.pt',
): ByteSource & { largestRead: number } {
  const pieces = new Pieces();
  if (before) pieces.add(before);
  const offsets: number[] = [];
  for (const entry of entries) {
    offsets.push(entry.sameHeaderAs === undefined ? pieces.size : offsets[entry.sameHeaderAs]!);
    if (entry.sameHeaderAs !== undefined) continue;
    pieces.add(localHeader(entry));
    pieces.add(bytesOf(entry.content));
  }
  const directoryAt = pieces.size;
  entries.forEach((entry, i) => {
    pieces.add(centralHeader(entry, offsets[i]!));
  });
  pieces.add(endRecords(entries.length, pieces.size - directoryAt, directoryAt));
  if (after) pieces.add(after);
  return pieces.source(name);
}

export async function zipBytes(zip: BuiltZip): Promise<Uint8Array> {
  const source = zipSource(zip);
  return source.read(0, source.size);
}

function bytesOf(content: BuiltEntry['content']): Uint8Array | number {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

function sizeOf(content: BuiltEntry['content']): number {
  const bytes = bytesOf(content);
  return typeof bytes === 'number' ? bytes : bytes.length;
}

function localHeader({ name, localName, method, flags, padding, localSize }: BuiltEntry): Uint8Array {
  const path = new TextEncoder().encode(localName ?? name);
  return join(
    [4, 0x04034b50, 2, 0, 2, flags ?? 0x0808, 2, method ?? 0, 4, 0, 4, 0],
    [4, localSize ?? 0, 4, localSize ?? 0, 2, path.length, 2, padding ?? 0],
    path,
    new Uint8Array(padding ?? 0),
  );
}

function centralHeader(entry: BuiltEntry, offset: number): Uint8Array {
  const path = new TextEncoder().encode(entry.name);
  const bytes = bytesOf(entry.content);
  const size = entry.claimedSize ?? sizeOf(entry.content);
  const crc = entry.crc ?? (typeof bytes === 'number' ? 0 : crc32(bytes));
  const zip64 = size > 0xfffffffe || offset > 0xfffffffe;
  const extra = zip64 ? numbers([2, 1, 2, 24, 8, size, 8, size, 8, offset]) : new Uint8Array();
  const field = (value: number) => (zip64 ? 0xffffffff : value);
  return join(
    [4, 0x02014b50, 2, 0, 2, 0, 2, entry.flags ?? 0x0808, 2, entry.method ?? 0, 4, 0, 4, crc],
    [4, field(size), 4, field(size), 2, path.length, 2, extra.length, 2, 0, 2, 0, 2, 0, 4, 0, 4, field(offset)],
    path,
    extra,
  );
}

/** torch always writes the zip64 record as well. */
function endRecords(count: number, length: number, at: number): Uint8Array {
  const far = at > 0xfffffffe;
  return join(
    [4, 0x06064b50, 8, 44, 2, 45, 2, 45, 4, 0, 4, 0, 8, count, 8, count, 8, length, 8, at],
    [4, 0x07064b50, 4, 0, 8, at + length, 4, 1],
    [4, 0x06054b50, 2, 0, 2, 0, 2, count, 2, count, 4, length, 4, far ? 0xffffffff : at, 2, 0],
  );
}

function join(...parts: (Uint8Array | number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (Array.isArray(part) ? numbers(part) : part)));
}

/** Little-endian numbers, each after its width. */
function numbers(pairs: number[]): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    for (let rest = BigInt(pairs[i + 1]!), k = 0; k < pairs[i]!; k++, rest >>= 8n) bytes.push(Number(rest & 255n));
  }
  return Uint8Array.from(bytes);
}

/** Bytes and holes one after another. */
class Pieces {
  size = 0;
  private readonly pieces: { at: number; bytes: Uint8Array }[] = [];

  add(piece: Uint8Array | number): void {
    if (typeof piece === 'number') {
      this.size += piece;
    } else {
      this.pieces.push({ at: this.size, bytes: piece });
      this.size += piece.length;
    }
  }

  source(name: string): ByteSource & { largestRead: number } {
    const pieces = this.pieces;
    const source = {
      name,
      size: this.size,
      largestRead: 0,
      async read(offset: number, length: number) {
        assertInside(source, offset, length);
        source.largestRead = Math.max(source.largestRead, length);
        const result = new Uint8Array(length);
        for (const { at, bytes } of pieces) {
          const from = Math.max(at, offset);
          const to = Math.min(at + bytes.length, offset + length);
          if (from < to) result.set(bytes.subarray(from - at, to - at), from - offset);
        }
        return result;
      },
      async close() {},
    };
    return source;
  }
}
