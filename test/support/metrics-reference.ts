import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pixels } from '../../src/metrics/psnr.ts';

/** Two pictures, and what scikit-image says of them; written by test/fixtures/make_metrics.py. */
export interface MeasuredPair {
  readonly name: string;
  readonly a: Pixels;
  readonly b: Pixels;
  readonly psnr: number;
  readonly ssim: number;
}

interface StoredPair extends Omit<MeasuredPair, 'a' | 'b'> {
  readonly width: number;
  readonly height: number;
  readonly a: string;
  readonly b: string;
}

export function readMeasuredPairs(): MeasuredPair[] {
  const text = readFileSync(join(__dirname, '../fixtures/metrics.json'), 'utf8');
  const { pairs } = JSON.parse(text) as { pairs: StoredPair[] };
  return pairs.map(({ name, width, height, a, b, psnr, ssim }) => {
    const picture = (rgb: string): Pixels => ({ width, height, data: withAlpha(Buffer.from(rgb, 'base64')) });
    return { name, a: picture(a), b: picture(b), psnr, ssim };
  });
}

/** RGB to RGBA; alpha changes from pixel to pixel, as no metric may see it. */
export function withAlpha(rgb: ArrayLike<number>): Uint8ClampedArray {
  const pixels = rgb.length / 3;
  return Uint8ClampedArray.from({ length: 4 * pixels }, (_, i) => {
    const pixel = Math.floor(i / 4);
    return i % 4 === 3 ? (37 * pixel) % 256 : rgb[3 * pixel + (i % 4)]!;
  });
}
