import png from '@jimp/js-png';
import { FormatError } from '../../src/errors.ts';
import { encodePng, insertPngText, readPngText } from '../../src/pipelines/png.ts';
import { Draws } from '../support/draws.ts';

function madeUpPicture(draws: Draws) {
  const [width, height] = [draws.whole(1, 40), draws.whole(1, 40)];
  const data = Uint8ClampedArray.from({ length: width * height * 4 }, (_, i) =>
    i % 4 === 3 ? 255 : draws.whole(0, 255),
  );
  return { width, height, data };
}

describe('encodePng', () => {
  it('writes pixels that another decoder reads', async () => {
    const draws = new Draws(1);
    for (let i = 0; i < 20; i++) {
      const picture = madeUpPicture(draws);
      const read = png().decode(Buffer.from(await encodePng(picture, { Comment: 'x' })));
      expect([read.width, read.height]).toEqual([picture.width, picture.height]);
      expect(Buffer.compare(read.data, Buffer.from(picture.data))).toBe(0);
    }
  });

  it('has texts of any script, read back', async () => {
    const texts = { parameters: 'Σ, 猫\nzwei Zeilen', 'delta-dit': '{"a":"é"}', empty: '' };
    const file = await encodePng(madeUpPicture(new Draws(2)), texts);
    expect(Object.fromEntries(readPngText('a.png', file))).toEqual(texts);
    expect(() => png().decode(Buffer.from(file))).not.toThrow(); // its checksums hold
    const more = insertPngText(file, { more: 'text' });
    expect(readPngText('a.png', more).get('more')).toBe('text');
  });
});

describe('readPngText', () => {
  it('refuses what is cut short or is no PNG', async () => {
    const file = await encodePng(madeUpPicture(new Draws(3)), { a: 'b' });
    expect(() => readPngText('a.png', file.subarray(0, file.length - 5))).toThrow(FormatError);
    expect(() => readPngText('a.png', file.subarray(1))).toThrow('a.png: is not a PNG file');
    expect(() => readPngText('a.png', new Uint8Array())).toThrow(FormatError);
  });
});
