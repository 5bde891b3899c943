import { readFile } from 'node:fs/promises';
import { FileError, FormatError, OptionError, type PixelImage } from '../index.ts';

/** As jpeg-js limits JPEG files; a small file may claim any size. */
const MAX_PIXELS = 100e6;

interface PictureFormat {
  readonly name: string;
  readonly signature: readonly number[];
}
const PNG: PictureFormat = { name: 'PNG', signature: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] };
const JPEG: PictureFormat = { name: 'JPEG', signature: [0xff, 0xd8, 0xff] };
/** Where IHDR, which is always the first chunk, has width and height (PNG specification §11.2.1). */
const PNG_WIDTH = 16;
const PNG_HEIGHT = 20;

/**
 * A PNG or JPEG file, turned as its EXIF orientation says, on white where it is transparent.
 * @throws FileError when it cannot be read; FormatError when it is another file or damaged; OptionError when it is huge.
 */
export async function readPicture(path: string): Promise<PixelImage> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'no such file' : `could not be read (${cause.message})`;
    throw new FileError(`${path}: ${reason}; give the path of a PNG or JPEG picture`, { cause });
  });
  const format = [PNG, JPEG].find(({ signature }) => signature.every((byte, i) => bytes[i] === byte));
  if (!format && /^RIFF.{4}WEBP/s.test(bytes.toString('latin1', 0, 12)))
    throw new FormatError(`${path}: is a WebP picture, and PNG and JPEG are read; save it as one of these`);
  if (!format) throw new FormatError(`${path}: is no PNG or JPEG picture; save it as one`);
  if (format === PNG) checkPngSize(path, bytes);
  const { Jimp } = await import('jimp');
  try {
    const image = await Jimp.fromBuffer(bytes, { 'image/jpeg': { tolerantDecoding: false } });
    return onWhite({ width: image.width, height: image.height, data: Uint8ClampedArray.from(image.bitmap.data) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (/limit exceeded/.test(reason))
      throw new OptionError(`${path}: is too large (${reason}); make it smaller`, { cause });
    const message = `${path}: the ${format.name} file is damaged, cut short or of an unusual kind (${reason}); save it again`;
    throw new FormatError(message, { cause });
  }
}

/** @throws OptionError before the decoder reserves memory for a picture that nobody can encode. */
function checkPngSize(path: string, bytes: Buffer): void {
  if (bytes.length < PNG_HEIGHT + 4) return; // the decoder says that it is cut short
  const [width, height] = [bytes.readUInt32BE(PNG_WIDTH), bytes.readUInt32BE(PNG_HEIGHT)];
  if (width * height <= MAX_PIXELS) return;
  throw new OptionError(
    `${path}: ${width}×${height} are more than ${MAX_PIXELS / 1e6} million pixels; make it smaller`,
  );
}

/** Alpha composited on white, in 8 bits. */
function onWhite({ width, height, data }: PixelImage): PixelImage {
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = (data[i + 3] ?? 255) / 255;
    for (let channel = 0; channel < 3; channel++) {
      out[i + channel] = 255 + ((data[i + channel] ?? 0) - 255) * alpha; // rounded and clamped by the array
    }
    out[i + 3] = 255;
  }
  return { width, height, data: out };
}
