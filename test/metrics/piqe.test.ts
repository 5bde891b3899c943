import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShapeError } from '../../src/errors.ts';
import { piqe } from '../../src/metrics/piqe.ts';
import type { Pixels } from '../../src/metrics/psnr.ts';
import { withAlpha } from '../support/metrics-reference.ts';

interface StoredPicture {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly piqe: number;
  readonly pixels: { readonly active: number; readonly artefacts: number; readonly noise: number };
  readonly rgb: string;
}

// written by test/fixtures/make_set_metrics.py
const { pictures } = JSON.parse(readFileSync(join(__dirname, '../fixtures/piqe.json'), 'utf8')) as {
  readonly pictures: readonly StoredPicture[];
};
const pixelsOf = ({ width, height, rgb }: StoredPicture): Pixels => ({
  width,
  height,
  data: withAlpha(Buffer.from(rgb, 'base64')),
});
const flat = (width: number, height: number, level: number): Pixels => ({
  width,
  height,
  data: withAlpha(new Uint8Array(3 * width * height).fill(level)),
});

describe('piqe', () => {
  it.each(pictures)("$name: pypiqe's $piqe", (picture) => {
    expect(piqe(pixelsOf(picture))).toBeCloseTo(picture.piqe, 8);
  });

  it('was compared where blocks of every kind lie', () => {
    for (const kind of ['active', 'artefacts', 'noise'] as const)
      expect(pictures.filter(({ pixels }) => pixels[kind] > 0).length).toBeGreaterThan(1);
    expect(new Set(pictures.map((picture) => picture.piqe.toFixed(3))).size).toBeGreaterThan(6);
  });

  it('is 100 for a picture of one colour, black too', () => {
    expect(piqe(flat(40, 20, 200))).toBe(100);
    expect(piqe(flat(1, 1, 0))).toBe(100);
  });

  it('refuses a picture of no pixel', () => {
    expect(() => piqe(flat(0, 5, 0))).toThrow(ShapeError);
    expect(() => piqe(flat(0, 5, 0))).toThrow('piqe: expected pixels, got 0×5');
  });
});
