import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Jimp } from 'jimp';
import { psnr } from '../../src/metrics/psnr.ts';
import { insertPngText } from '../../src/pipelines/png.ts';
import { readPng } from '../support/read-png.ts';
import { convertTinyModel, expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const EMOJI = 'test/fixtures/emoji.png';
const scratch = scratchFolder();
afterAll(() => scratch.remove());
const metrics = (...args: string[]) => runCli('metrics', '--backend', 'wasm', ...args);
const without = (...args: string[]) => runCli('metrics', '--no-features', ...args);

function folder(name: string): string {
  const path = scratch.path(name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** The cat on white, PNG or JPEG; `shift` darkens the channels, each by another amount. */
async function paintCat(path: string, shift = 0): Promise<void> {
  const { width, height, data: cat } = readPng(EMOJI);
  const data = Buffer.from(cat);
  for (let i = 0; i < data.length; i++) {
    const alpha = cat[i - (i % 4) + 3]! / 255;
    const onWhite = 255 + (cat[i]! - 255) * alpha - (Math.floor(i / 4 + i) % 3) * shift;
    data[i] = i % 4 === 3 ? 255 : Math.max(0, Math.round(onWhite));
  }
  const kind = path.endsWith('.png') ? 'image/png' : 'image/jpeg';
  writeFileSync(path, await Jimp.fromBitmap({ width, height, data }).getBuffer(kind));
}

async function paintFlat(path: string, width: number, height: number, color = 0x3366ccff): Promise<void> {
  writeFileSync(path, await new Jimp({ width, height, color }).getBuffer('image/png'));
}

const [uncached, cached] = [scratch.path('uncached'), scratch.path('cached')];
beforeAll(async () => {
  for (const [path, shift] of [
    [folder('uncached'), 0],
    [folder('cached'), 5],
  ] as const) {
    await paintCat(`${path}/cat-face-7.png`, shift);
    await paintCat(`${path}/cat-8.png`, 2 * shift);
    await paintCat(`${path}/no-such-thing-9.png`, 0);
  }
  writeFileSync(`${cached}/notes.txt`, 'no picture');
});

describe('metrics', () => {
  it('prints tables of the pairs and of the folders, and warns of what is not to be compared', async () => {
    const { code, stdout, stderr } = await metrics(uncached, cached);
    expect(code).toBe(0);
    expect(stderr).toContain(`${cached}: left out 1 file that is no picture`);
    expect(stderr).toMatch(
      /warning: a covariance of 128 features needs 129 pictures, and .*uncached holds 3, .*cached holds 3/,
    );
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe(`${cached} (3 pictures) against ${uncached} (3 pictures), 3 pairs by name`);
    for (const line of [
      /^of pairs +mean +median +min +max$/,
      /^PSNR, dB +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +∞$/,
      /^SSIM +0\.\d{4} +0\.\d{4} +0\.\d{4} +1\.0000$/,
      /^Sobel gradient, more than the reference( +-?\d+\.\d{3}){4}$/,
      /^high-frequency error( +\d+\.\d{4}){4}$/,
      /^1 of the pairs are equal: infinite PSNR, left out of the mean$/,
      /^of each folder, mean +reference +pictures$/,
      /^PIQE +\d+\.\d\d +\d+\.\d\d$/,
      /^Sobel gradient +\d+\.\d{3} +\d+\.\d{3}$/,
      /^Inception Score +1\.000 +\d\.\d{3}$/,
      /^shows what it should, found +100\.0 % +\d+\.\d %$/,
      /^shows what it should, confidence +\d+\.\d % +\d+\.\d %$/,
      /^pictures of which that is known +2 +2$/,
      /^Fréchet distance +\d+\.\d{4}$/,
      /^by .*checkpoints\/emoji-classifier, 128 features$/,
    ])
      expect(lines.filter((text) => line.test(text))).toHaveLength(1);
  });

  it('prints JSON, whose numbers are those of the library', async () => {
    const { stdout } = await metrics(uncached, cached, '--json', '-q');
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      reference: { folder: uncached, pictures: 3, agreement: { pictures: 2, found: 1 } },
      pictures: { folder: cached, pictures: 3, inceptionScore: expect.any(Number) },
      pairing: { by: 'name', pairs: 3, alone: 0 },
      pairs: { psnr: { max: null, infinite: 1 }, ssim: { max: 1, infinite: 0 } },
      features: { count: 128 },
      frechetDistance: expect.any(Number),
    });
    const names = ['cat-face-7.png', 'cat-8.png'];
    const decibels = names.map((name) => psnr(readPng(`${cached}/${name}`), readPng(`${uncached}/${name}`)));
    expect(report.pairs.psnr.mean).toBeCloseTo((decibels[0]! + decibels[1]!) / 2, 10);
    expect(report.pairs.psnr.min).toBeCloseTo(Math.min(...decibels), 10);
    expect(report.frechetDistance).toBeGreaterThan(0);
  });

  it('says nothing on stderr with --quiet, and starts no backend without features', async () => {
    const { code, stdout, stderr } = await without(uncached, uncached, '-q');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).not.toMatch(/Fréchet|Inception|shows what it should|^by /m);
    expect(stdout).toMatch(/^PSNR, dB +∞ +∞ +∞ +∞$/m);
    expect((await without(uncached, uncached)).stderr).toBe('');
  });

  it('pairs by name whatever the ending, by order where no name is common, and wholes alone with --unpaired', async () => {
    const jpegs = folder('jpegs');
    for (const name of ['cat-face-7', 'cat-8']) await paintCat(`${jpegs}/${name}.jpg`);
    const named = JSON.parse((await without(uncached, jpegs, '--json')).stdout);
    expect(named.pairing).toEqual({ by: 'name', pairs: 2, alone: 1 });
    const others = folder('others');
    for (const name of ['2', '10', '1']) await paintFlat(`${others}/${name}.png`, 64, 64);
    const ordered = JSON.parse((await without(uncached, others, '--json')).stdout);
    expect(ordered.pairing).toEqual({ by: 'order', pairs: 3, alone: 0 });
    const wholes = JSON.parse((await without(jpegs, others, '--unpaired', '--json')).stdout);
    expect(wholes).toMatchObject({ pairing: null, pairs: null, reference: { pictures: 2 }, pictures: { pictures: 3 } });
    expect(wholes.pictures.piqe).toEqual({ mean: 100, median: 100, min: 100, max: 100, infinite: 0 });
  });

  it('knows from a picture’s settings what it should show, before its name', async () => {
    const settled = folder('settled');
    const model = scratch.path('tiny');
    await convertTinyModel(model, '--labels', labelsFile());
    const make = ['generate', '-m', model, '--backend', 'wasm', '--steps', '1', '-q', '--seed', '1'];
    const made = `${settled}/heart.png`;
    expect((await runCli(...make, '--class', 'cat face', '-o', made)).code).toBe(0);
    const settings = textOf(made);
    const cat = folder('cats');
    for (const name of ['heart-1.png', 'flag-2.png'])
      writeFileSync(`${cat}/${name}`, insertPngText(readFileSync(`${uncached}/cat-8.png`), { 'delta-dit': settings }));
    copyFileSync(`${uncached}/cat-8.png`, `${cat}/moon-3.png`);
    const { pictures } = JSON.parse((await metrics(cat, cat, '--json', '-q')).stdout);
    expect(pictures.agreement).toMatchObject({ pictures: 3, found: 0 }); // a class is a group: not this cat's, which is an animal face
    const named = JSON.parse((await metrics(uncached, uncached, '--json', '-q')).stdout);
    expect(named.pictures.agreement.found).toBe(1);
  });
});

function labelsFile(): string {
  const path = scratch.path('labels.txt');
  writeFileSync(path, ['heart', 'cat face', 'dog', 'sun', 'moon', 'flag', 'book'].join('\n'));
  return path;
}

/** The settings that `generate` wrote into a PNG. */
function textOf(path: string): string {
  const text = readFileSync(path).toString('latin1');
  const start = text.indexOf('delta-dit\0{') + 'delta-dit\0'.length;
  return text.slice(start, text.indexOf('}', start) + 1);
}

describe('metrics refuses', () => {
  const empty = folder('empty');
  const three = folder('three');
  const two = folder('two');
  beforeAll(async () => {
    for (const name of ['a', 'b', 'c']) await paintFlat(`${three}/${name}.png`, 20, 20);
    for (const name of ['d', 'e']) await paintFlat(`${two}/${name}.png`, 20, 20);
    writeFileSync(`${folder('broken')}/a.png`, 'no picture');
    writeFileSync(`${folder('webp')}/a.webp`, Buffer.from('RIFF\x10\0\0\0WEBPVP8 ', 'latin1'));
    await paintFlat(`${folder('large')}/a.png`, 24, 20);
    await paintFlat(`${folder('small')}/a.png`, 8, 8);
    for (const name of ['a.png', 'a.jpg']) await paintCat(`${folder('twice')}/${name}`);
    writeFileSync(`${empty}/notes.txt`, '');
  });
  const refused: [string, () => string[], RegExp][] = [
    [
      'a folder that is not there',
      () => [three, scratch.path('lost')],
      /lost: no such folder; give a folder of pictures/,
    ],
    ['a file', () => [EMOJI, three], /emoji\.png: is no folder; give a folder of pictures/],
    ['a folder without pictures', () => [three, empty], /empty: holds no picture \(\.png, \.jpg, \.jpeg\)/],
    [
      'folders that do not fit',
      () => [three, two],
      /expected pictures of the same names, or equally many, got 3 and 2 without a common name; .* --unpaired/,
    ],
    ['a picture that is none', () => [three, scratch.path('broken')], /broken\/a\.png: is no PNG or JPEG picture/],
    ['WebP', () => [three, scratch.path('webp')], /webp\/a\.webp: is a WebP picture, and PNG and JPEG are read/],
    [
      'pairs of different size, and names both',
      () => [three, scratch.path('large')],
      /large\/a\.png and .*three\/a\.png: pictures to compare: expected the same size, got 24×20 and 20×20/,
    ],
    [
      'pictures smaller than the window of SSIM',
      () => [scratch.path('small'), scratch.path('small')],
      /small\/a\.png and .*: ssim: expected pictures of at least 11×11 pixels, got 8×8/,
    ],
    ['two pictures of one name', () => [three, scratch.path('twice')], /a\.jpg and a\.png: two pictures of one name/],
  ];
  it.each(refused)('%s', async (_, args, text) => {
    const result = await without(...args());
    expectRefusal(result, text);
    expect(result.stdout).toBe('');
  });

  it.each<[string, string, RegExp]>([
    [
      'a model that makes pictures',
      'dit-emoji',
      /expected an ImageClassifier, got a DiTPipeline, which makes pictures/,
    ],
    [
      'a classifier that is not there',
      'nowhere',
      /--features nowhere: no such file or folder, and no checkpoint of that/,
    ],
    ['a folder without a manifest', PARITY, /parity: has no manifest\.json; give a folder like/],
    ['a file', EMOJI, /emoji\.png: no such folder; give the folder of an image classifier/],
  ])('%s as --features', async (_, features, text) => {
    expectRefusal(await metrics(three, three, '--features', features), text);
  });
});

describe('the classifier among checkpoints', () => {
  it('is inspected and verified', async () => {
    const { stdout } = await runCli('inspect', 'emoji-classifier');
    expect(stdout).toMatch(/image classifier \(4 stages, 128 features, 535 labels\), converted, 0\.81 M parameters/);
    expect(stdout).toMatch(/classes: 0 grinning, grinning face · /);
    expect((await runCli('verify', 'emoji-classifier')).code).toBe(0);
  });

  it('makes no pictures, and says what it is for', async () => {
    const out = scratch.path('never.png');
    const result = await runCli('generate', '-m', 'emoji-classifier', '--class', 'heart', '-o', out);
    expectRefusal(result, /is an image classifier, which makes no pictures; .* "delta-dit metrics --features"/);
  });
});
