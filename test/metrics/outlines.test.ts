import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OptionError, ShapeError } from '../../src/errors.ts';
import { HIGH_FREQUENCY_CUTOFF, highFrequencyError } from '../../src/metrics/high-frequency.ts';
import type { Pixels } from '../../src/metrics/psnr.ts';
import { sobelMeanGradient } from '../../src/metrics/sobel.ts';
import { withAlpha } from '../support/metrics-reference.ts';

interface StoredPair {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly picture: string;
  readonly reference: string;
  readonly meanGradient: number;
  readonly highFrequencyError: readonly number[];
}

// written by test/fixtures/make_outlines.py
const { cutoffs, pairs } = JSON.parse(readFileSync(join(__dirname, '../fixtures/outlines.json'), 'utf8')) as {
  readonly cutoffs: readonly number[];
  readonly pairs: readonly StoredPair[];
};
const picturesOf = ({ width, height, picture, reference }: StoredPair): [Pixels, Pixels] => {
  const [a, b] = [picture, reference].map((rgb) => ({ width, height, data: withAlpha(Buffer.from(rgb, 'base64')) }));
  return [a!, b!];
};

/** A grey picture by its levels. */
function grey(width: number, height: number, level: (x: number, y: number) => number): Pixels {
  const levels = Array.from({ length: width * height }, (_, i) => level(i % width, Math.floor(i / width)));
  return { width, height, data: withAlpha(levels.flatMap((value) => [value, value, value])) };
}

describe('sobelMeanGradient', () => {
  it.each(pairs)("$name: scikit-image's $meanGradient", (pair) => {
    const [picture] = picturesOf(pair);
    expect(sobelMeanGradient(picture)).toBeCloseTo(pair.meanGradient, 9);
  });

  it('is 8 for a ramp of one level a pixel, in any direction, and 0 for a flat picture', () => {
    expect(sobelMeanGradient(grey(9, 7, (x) => x))).toBeCloseTo(8, 12);
    expect(sobelMeanGradient(grey(9, 7, (_, y) => 200 - y))).toBeCloseTo(8, 12);
    expect(sobelMeanGradient(grey(9, 7, (x, y) => x + y))).toBeCloseTo(8 * Math.SQRT2, 12);
    expect(sobelMeanGradient(grey(9, 7, () => 99))).toBeCloseTo(0, 12);
  });

  it('refuses pictures without an inner pixel', () => {
    expect(() => sobelMeanGradient(grey(2, 9, () => 0))).toThrow(ShapeError);
    expect(() => sobelMeanGradient(grey(9, 2, () => 0))).toThrow('at least 3×3 pixels, got 9×2');
  });
});

describe('highFrequencyError', () => {
  it.each(pairs)("$name: numpy's, at each cutoff", (pair) => {
    const [picture, reference] = picturesOf(pair);
    for (const [i, cutoff] of cutoffs.entries()) {
      expect(highFrequencyError(picture, reference, cutoff)).toBeCloseTo(pair.highFrequencyError[i]!, 9);
    }
    const atDefault = pair.highFrequencyError[cutoffs.indexOf(HIGH_FREQUENCY_CUTOFF)]!;
    expect(highFrequencyError(picture, reference)).toBeCloseTo(atDefault, 9);
  });

  const stripes = grey(16, 12, (x) => (x % 2) * 100);
  const flat = grey(16, 12, () => 50);

  it('is 0 for equal pictures, also where only the brightness differs', () => {
    expect(highFrequencyError(stripes, stripes)).toBe(0);
    expect(
      highFrequencyError(
        grey(16, 12, (x) => (x % 2) * 100 + 20),
        stripes,
      ),
    ).toBe(0);
    expect(highFrequencyError(flat, flat)).toBe(0);
  });

  it('is 1 for a picture without high frequencies, infinite for a reference without', () => {
    expect(highFrequencyError(flat, stripes)).toBeCloseTo(1, 12);
    expect(highFrequencyError(stripes, flat)).toBe(Number.POSITIVE_INFINITY);
  });

  it('does not see slow waves: one of 4 pixels lies on the cutoff and is not beyond it', () => {
    const wave = grey(16, 12, (x) => 100 + [0, 60, 0, -60][x % 4]!);
    expect(highFrequencyError(wave, flat)).toBe(0);
    expect(highFrequencyError(wave, flat, 0.2)).toBe(Number.POSITIVE_INFINITY);
  });

  it('refuses pictures of different size, and cutoffs that leave nothing or all', () => {
    expect(() =>
      highFrequencyError(
        flat,
        grey(12, 16, () => 0),
      ),
    ).toThrow(ShapeError);
    for (const cutoff of [0, -1, 0.5, Number.NaN])
      expect(() => highFrequencyError(flat, stripes, cutoff)).toThrow(OptionError);
    expect(() => highFrequencyError(flat, stripes, 0.5)).toThrow(/^cutoff: .* below 0.5 cycles a pixel, got 0.5$/);
  });
});
