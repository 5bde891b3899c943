import { ShapeError } from '../../src/errors.ts';
import { type Pixels, psnr } from '../../src/metrics/psnr.ts';
import { ssim } from '../../src/metrics/ssim.ts';
import { readMeasuredPairs, withAlpha } from '../support/metrics-reference.ts';

const pairs = readMeasuredPairs();

const flat = (width: number, height: number, level: number): Pixels => ({
  width,
  height,
  data: withAlpha(new Uint8Array(3 * width * height).fill(level)),
});

describe('psnr', () => {
  it.each(pairs)("$name: scikit-image's $psnr dB", ({ a, b, psnr: want }) => {
    expect(psnr(a, b)).toBeCloseTo(want, 9);
    expect(psnr(b, a)).toBe(psnr(a, b));
  });

  it('is infinite for equal pictures, whatever their alpha', () => {
    const { a } = pairs[0]!;
    const opaque = { ...a, data: Uint8ClampedArray.from(a.data, (value, i) => (i % 4 === 3 ? 255 : value)) };
    expect(psnr(a, opaque)).toBe(Number.POSITIVE_INFINITY);
  });

  it('is 0 dB between black and white', () => {
    expect(psnr(flat(4, 4, 0), flat(4, 4, 255))).toBe(0);
  });
});

describe('ssim', () => {
  it.each(pairs)("$name: scikit-image's $ssim", ({ a, b, ssim: want }) => {
    expect(ssim(a, b)).toBeCloseTo(want, 9);
    expect(ssim(b, a)).toBeCloseTo(want, 9);
  });

  it('is 1 for equal pictures, whatever their alpha', () => {
    const { a } = pairs[0]!;
    const opaque = { ...a, data: Uint8ClampedArray.from(a.data, (value, i) => (i % 4 === 3 ? 255 : value)) };
    expect(ssim(a, opaque)).toBeCloseTo(1, 12);
  });

  it('refuses pictures smaller than its window', () => {
    expect(() => ssim(flat(10, 20, 1), flat(10, 20, 1))).toThrow(ShapeError);
    expect(() => ssim(flat(20, 10, 1), flat(20, 10, 1))).toThrow('at least 11×11 pixels, got 20×10');
  });
});

describe('both', () => {
  it('refuse pictures of different size', () => {
    for (const metric of [psnr, ssim]) {
      expect(() => metric(flat(12, 13, 0), flat(13, 12, 0))).toThrow(ShapeError);
      expect(() => metric(flat(12, 13, 0), flat(13, 12, 0))).toThrow('expected the same size, got 12×13 and 13×12');
    }
  });
});
