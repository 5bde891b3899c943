import { type NamedPicture, outputOf as outputOfKind, pathsOf, previewPath } from '../../src/cli/output.ts';
import { OptionError } from '../../src/errors.ts';

const picture = (subject: string, seed: number, index = 0): NamedPicture => ({ subject, seed, index });
const PICTURES = [picture('heart', 7), picture('heart', 8, 1), picture('cat face', 7, 2), picture('cat face', 8, 3)];
const outputOf = (name: string, pictures: readonly NamedPicture[]) =>
  outputOfKind(name, 'class', pictures, pictures.length);

describe('outputOf', () => {
  it('is one file for all, or stdout', () => {
    expect(outputOf('out.png', PICTURES)).toEqual({ kind: 'sheet', path: 'out.png' });
    expect(outputOf('-', PICTURES)).toEqual({ kind: 'stdout' });
    expect(pathsOf(outputOf('-', PICTURES))).toEqual([]);
  });

  it('is a file for each where the name has placeholders', () => {
    expect(pathsOf(outputOf('a/{class}-{seed}.png', PICTURES))).toEqual([
      'a/heart-7.png',
      'a/heart-8.png',
      'a/cat-face-7.png',
      'a/cat-face-8.png',
    ]);
    expect(pathsOf(outputOf('{index}.{index}.jpg', PICTURES.slice(0, 2)))).toEqual(['1.1.jpg', '2.2.jpg']);
    expect(outputOf('{seed}.png', PICTURES.slice(0, 1))).toEqual({ kind: 'each', paths: ['7.png'] });
  });

  it('pads indices, so that files sort as they were made', () => {
    const jobs = Array.from({ length: 120 }, (_, i) => picture('heart', i, i));
    const paths = pathsOf(outputOf('{index}.png', jobs));
    expect([paths[0], paths[11], paths[119]]).toEqual(['001.png', '012.png', '120.png']);
    expect([...paths].sort()).toEqual(paths);
  });

  it('counts the pictures that are left out', () => {
    const pictures = [picture('one', 1, 0), picture('twelve', 1, 11)];
    expect(pathsOf(outputOfKind('{index}-{prompt}.png', 'prompt', pictures, 12))).toEqual([
      '01-one.png',
      '12-twelve.png',
    ]);
  });

  it.each([
    ['../../etc/passwd', 'etc-passwd'],
    ['C:\\x', 'C-x'],
    ['{seed}', 'seed'],
    ['$&', 'class'],
    ['..', 'class'],
    ['a\nb', 'a-b'],
    ['œuf à la coque', 'œuf-à-la-coque'],
    ['naïve_2', 'naïve_2'],
    ['𝒜'.repeat(99), '𝒜'.repeat(50)],
  ])('keeps a class of %j inside its folder', (label, part) => {
    expect(pathsOf(outputOf('x/{class}.png', [picture(label, 1)]))).toEqual([`x/${part}.png`]);
  });

  const refused: [string, string, RegExp][] = [
    ['a name that two pictures get', '{seed}.png', /two pictures would be 7\.png; add \{index\} to the name/],
    [
      'an unknown placeholder',
      '{prompt}.png',
      /expected \{seed\}, \{index\} or \{class\} between braces, got \{prompt\}/,
    ],
    ['a placeholder with a format', '{seed:4}.png', /got \{seed:4\}/],
    ['empty braces', '{}.png', /got \{\}/],
    [
      'another kind of picture',
      'out.webp',
      /out\.webp: expected a name that ends in \.png, \.jpg or \.jpeg, got \.webp/,
    ],
  ];
  it.each(refused)('refuses %s', (_, name, text) => {
    expect(() => outputOf(name, PICTURES)).toThrow(OptionError);
    expect(() => outputOf(name, PICTURES)).toThrow(text);
  });
});

describe('previewPath', () => {
  it('is beside the file', () => {
    expect(['a/out.png', 'b.JPG', 'c.jpeg', 'd', 'e.v2.png'].map(previewPath)).toEqual([
      'a/out.preview.png',
      'b.preview.png',
      'c.preview.png',
      'd.preview.png',
      'e.v2.preview.png',
    ]);
  });
});
