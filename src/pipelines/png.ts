/** PNG files with text in them (PNG specification, third edition), in Node and in browsers. */
import { FormatError } from '../errors.ts';
import type { PixelImage } from './image.ts';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** Length, type and CRC around a chunk's body. */
const CHUNK_OVERHEAD = 12;
const HEADER_BYTES = 13;
/** IHDR is the first chunk. */
const AFTER_HEADER = SIGNATURE.length + CHUNK_OVERHEAD + HEADER_BYTES;
const BIT_DEPTH = 8;
const COLOUR_RGB = 2;
/** Each byte less the one above it: what compresses these pictures best of the filters that a whole picture can share. */
const FILTER_UP = 2;

/**
 * A picture as a PNG file, its alpha left out, as generated ones are opaque. A canvas could write one, too, but browsers
 * that hide from fingerprinting change the pixels that are read from it.
 */
export async function encodePng(
  { width, height, data }: PixelImage,
  texts: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([BIT_DEPTH, COLOUR_RGB], 8); // deflate, adaptive filters, not interlaced: all 0
  const pixels = await deflated(filteredRows(width, height, data));
  const chunks = [chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', new Uint8Array())];
  return insertPngText(joined([SIGNATURE, ...chunks]), texts);
}

/** Rows of RGB, a filter byte before each. */
function filteredRows(width: number, height: number, rgba: Uint8ClampedArray): Uint8Array<ArrayBuffer> {
  const row = width * 4;
  const rows = new Uint8Array((width * 3 + 1) * height);
  let at = 0;
  for (let from = 0; from < row * height; from += row) {
    rows[at++] = FILTER_UP;
    for (let i = from; i < from + row; i++)
      if (i % 4 !== 3) rows[at++] = (rgba[i] ?? 0) - (from === 0 ? 0 : (rgba[i - row] ?? 0));
  }
  return rows;
}

async function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Adds text to a PNG: tEXt where Latin-1 can say it, else iTXt (UTF-8, uncompressed). PNG specification §11.3.3. */
export function insertPngText(png: Uint8Array, texts: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> {
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return joined([png.subarray(0, AFTER_HEADER), ...chunks, png.subarray(AFTER_HEADER)]);
}

/** The tEXt and iTXt texts of a PNG, by keyword. @throws FormatError when it is no PNG or is cut short. */
export function readPngText(name: string, png: Uint8Array): Map<string, string> {
  if (SIGNATURE.some((byte, i) => png[i] !== byte))
    throw new FormatError(`${name}: is not a PNG file; give one that delta-dit wrote`);
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const texts = new Map<string, string>();
  for (let at = SIGNATURE.length; at < png.length; ) {
    if (at + CHUNK_OVERHEAD > png.length) throw cutShort(name, at);
    const length = view.getUint32(at);
    const type = latin1(png.subarray(at + 4, at + 8));
    const body = png.subarray(at + 8, at + 8 + length);
    if (body.length < length) throw cutShort(name, at);
    for (const [keyword, text] of textOf(type, body)) texts.set(keyword, text);
    at += length + CHUNK_OVERHEAD;
  }
  return texts;
}

function cutShort(name: string, at: number): FormatError {
  return new FormatError(`${name}: the PNG file is cut short at byte ${at}; get it again`);
}

/** Keyword and text of a chunk that is uncompressed text. */
function textOf(type: string, body: Uint8Array): readonly (readonly [string, string])[] {
  const end = body.indexOf(0);
  if (end <= 0) return [];
  const keyword = latin1(body.subarray(0, end));
  if (type === 'tEXt') return [[keyword, latin1(body.subarray(end + 1))]];
  if (type !== 'iTXt' || body[end + 1] !== 0) return [];
  const language = body.indexOf(0, end + 3);
  const translated = body.indexOf(0, language + 1);
  return [[keyword, new TextDecoder().decode(body.subarray(translated + 1))]];
}

function textChunk(keyword: string, text: string): Uint8Array {
  const isLatin1 = [...text].every((character) => (character.codePointAt(0) ?? 0) < 256);
  if (isLatin1) return chunk('tEXt', latin1Bytes(`${keyword}\0${text}`));
  return chunk('iTXt', joined([latin1Bytes(`${keyword}\0\0\0\0\0`), new TextEncoder().encode(text)]));
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + CHUNK_OVERHEAD);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(latin1Bytes(type), 4);
  bytes.set(body, 8);
  view.setUint32(body.length + 8, crc32(bytes.subarray(4, body.length + 8)));
  return bytes;
}

/** Characters are bytes; TextDecoder's Latin-1 is Windows-1252. */
function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** PNG specification, annex D: the reversed polynomial 0xedb88320. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
