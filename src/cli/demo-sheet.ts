import type { PixelImage } from '../index.ts';
import { bitmap } from './pictures.ts';

const CELL = 136;
const PICTURE = 128;
const MARGIN = 92;
const HEADER = 30; // at least: labels of several lines take more
const WHITE = 0xffffffff;

/** Pictures twice their size under their labels, a named row for each way they were made. */
export async function labelledSheet(
  labels: readonly string[],
  rows: readonly (readonly [name: string, pictures: readonly PixelImage[]])[],
): Promise<PixelImage> {
  const { HorizontalAlign, Jimp, loadFont, measureTextHeight, VerticalAlign } = await import('jimp');
  const { SANS_16_BLACK } = await import('jimp/fonts');
  const font = await loadFont(SANS_16_BLACK);
  const header = Math.max(HEADER, ...labels.map((label) => measureTextHeight(font, label, PICTURE)));
  const sheet = new Jimp({ width: MARGIN + labels.length * CELL, height: header + rows.length * CELL, color: WHITE });
  const print = (text: string, x: number, y: number, maxWidth: number, maxHeight: number) =>
    sheet.print({
      font,
      x,
      y,
      maxWidth,
      maxHeight,
      text: { text, alignmentX: HorizontalAlign.CENTER, alignmentY: VerticalAlign.MIDDLE },
    });
  labels.forEach((label, x) => {
    print(label, MARGIN + x * CELL, 0, PICTURE, header);
  });
  rows.forEach(([name, pictures], y) => {
    print(name, 0, header + y * CELL, MARGIN, PICTURE);
    pictures.forEach((picture, x) => {
      const scale = PICTURE / Math.max(picture.width, picture.height);
      const [w, h] = [Math.round(scale * picture.width), Math.round(scale * picture.height)];
      const image = Jimp.fromBitmap(bitmap(picture)).resize({ w, h });
      sheet.composite(image, MARGIN + x * CELL + (PICTURE - w) / 2, header + y * CELL + (PICTURE - h) / 2);
    });
  });
  return { width: sheet.width, height: sheet.height, data: new Uint8ClampedArray(sheet.bitmap.data) };
}

/** Sheets one below the other. @param sheets of one width */
export async function stacked(sheets: readonly PixelImage[]): Promise<PixelImage> {
  const { Jimp } = await import('jimp');
  const width = Math.max(...sheets.map((sheet) => sheet.width));
  const height = sheets.reduce((sum, sheet) => sum + sheet.height, 0);
  const all = new Jimp({ width, height, color: WHITE });
  let y = 0;
  for (const sheet of sheets) {
    all.composite(Jimp.fromBitmap(bitmap(sheet)), 0, y);
    y += sheet.height;
  }
  return { width, height, data: new Uint8ClampedArray(all.bitmap.data) };
}
