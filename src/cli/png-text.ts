import { crc32 } from 'node:zlib';
import { FormatError } from '../errors.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Length, type and CRC around a chunk's body. */
const CHUNK_OVERHEAD = 12;
/** IHDR is the first chunk and always 13 bytes long. */
const AFTER_HEADER = SIGNATURE.length + CHUNK_OVERHEAD + 13;

/** Adds text to a PNG: tEXt where Latin-1 can say it, else iTXt (UTF-8, uncompressed). PNG specification §11.3.4. */
export function insertPngText(png: Uint8Array, texts: Readonly<Record<string, string>>): Buffer {
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return Buffer.concat([png.subarray(0, AFTER_HEADER), ...chunks, png.subarray(AFTER_HEADER)]);
}

/** The tEXt and iTXt texts of a PNG, by keyword. @throws FormatError when it is no PNG or is cut short. */
export function readPngText(name: string, png: Uint8Array): Map<string, string> {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE))
    throw new FormatError(`${name}: is not a PNG file; give one that delta-dit wrote`);
  const texts = new Map<string, string>();
  for (let at = SIGNATURE.length; at < bytes.length; ) {
    if (at + CHUNK_OVERHEAD > bytes.length)
      throw new FormatError(`${name}: the PNG file is cut short at byte ${at}; get it again`);
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (body.length < length) throw new FormatError(`${name}: the PNG file is cut short at byte ${at}; get it again`);
    const end = body.indexOf(0);
    if (type === 'tEXt' && end > 0) texts.set(body.toString('latin1', 0, end), body.toString('latin1', end + 1));
    if (type === 'iTXt' && end > 0 && body[end + 1] === 0) {
      const language = body.indexOf(0, end + 3);
      const translated = body.indexOf(0, language + 1);
      texts.set(body.toString('latin1', 0, end), body.toString('utf8', translated + 1));
    }
    at += length + CHUNK_OVERHEAD;
  }
  return texts;
}

function textChunk(keyword: string, text: string): Buffer {
  const isLatin1 = [...text].every((character) => (character.codePointAt(0) ?? 0) < 256);
  if (isLatin1) return chunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1'));
  return chunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(text, 'utf8')]));
}

function chunk(type: string, body: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, crc]);
}
