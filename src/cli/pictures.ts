import { access, constants, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodePng, FileError, OptionError, type PixelImage } from '../index.ts';

/** Pixels between the pictures of a grid. */
const GAP = 4;
const WHITE = 0xffffffff;

/** Pictures in rows, on white. @param rows pictures of one size; rows may differ in length */
export async function grid(rows: readonly (readonly PixelImage[])[]): Promise<PixelImage> {
  const { Jimp } = await import('jimp');
  const [first] = rows.flat();
  if (!first) throw new RangeError('a grid needs a picture');
  const columns = Math.max(...rows.map((row) => row.length));
  const [width, height] = [first.width + GAP, first.height + GAP];
  const sheet = new Jimp({ width: columns * width - GAP, height: rows.length * height - GAP, color: WHITE });
  rows.forEach((row, y) => {
    row.forEach((picture, x) => {
      sheet.composite(Jimp.fromBitmap(bitmap(picture)), x * width, y * height);
    });
  });
  return { width: sheet.width, height: sheet.height, data: new Uint8ClampedArray(sheet.bitmap.data) };
}

/** Bilinear, for pictures to look at. */
export async function resized(picture: PixelImage, width: number, height: number): Promise<PixelImage> {
  const { Jimp } = await import('jimp');
  const image = Jimp.fromBitmap(bitmap(picture)).resize({ w: width, h: height });
  return { width, height, data: new Uint8ClampedArray(image.bitmap.data) };
}

/** What a file's name says that it holds; PNG where it says nothing. @throws OptionError for other kinds of pictures. */
export function pictureKind(path: string): 'png' | 'jpeg' {
  const extension = extname(path).toLowerCase();
  if (extension === '.png' || extension === '') return 'png';
  if (extension === '.jpg' || extension === '.jpeg') return 'jpeg';
  throw new OptionError(`${path}: expected a name that ends in .png, .jpg or .jpeg, got ${extension}`);
}

/** Hardly told from the PNG by eye; 75, the usual default, blurs what a decoder drew. */
const JPEG_QUALITY = 95;

/** A file of the kind that `path` says. A JPEG carries no texts. */
export async function encodePicture(
  path: string,
  picture: PixelImage,
  texts: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  if (pictureKind(path) === 'png') return encodePng(picture, texts);
  const { Jimp } = await import('jimp');
  return Jimp.fromBitmap(bitmap(picture)).getBuffer('image/jpeg', { quality: JPEG_QUALITY });
}

export function bitmap({ width, height, data }: PixelImage): { width: number; height: number; data: Buffer } {
  return { width, height, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength) };
}

/** @throws FileError when `path` exists, unless `force`, or its folder cannot be written to. */
export async function checkOutput(path: string, force: boolean): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found && !force) throw new FileError(`${path}: exists already; choose another -o, or --force to replace it`);
  const folder = dirname(path);
  const isFolder = (await stat(folder).catch(() => undefined))?.isDirectory() ?? false;
  const isWritable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!isFolder || !isWritable)
    throw new FileError(`${path}: its folder is not there or may not be written to; choose another -o`);
  if (found?.isDirectory()) throw new FileError(`${path}: is a folder; give the name of a file`);
}

/** @throws FileError when the reader has gone. */
export async function writeStdout(bytes: Uint8Array): Promise<void> {
  try {
    await pipeline(Readable.from([bytes]), process.stdout, { end: false });
  } catch (cause) {
    throw new FileError(`stdout: could not be written (${(cause as Error).message}); check what reads it`, { cause });
  }
}

/** Writes beside `path` first, so that it is whole or absent. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.partial-${process.pid}`;
  try {
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new FileError(
      `${path}: could not be written (${(cause as Error).message}); check the folder, its permissions and the disk`,
      { cause },
    );
  }
}
