import { OptionError, ShapeError } from '../errors.ts';
import { FourierTransform } from './fourier.ts';
import { luma } from './luma.ts';
import { assertSameSize, type Pixels } from './psnr.ts';

/** Half the Nyquist frequency: waves shorter than 4 pixels count. */
export const HIGH_FREQUENCY_CUTOFF = 0.25;

/** Of a plane whose energy above the cutoff is nothing but rounding. */
const ROUNDING = 1e-20;

/**
 * How far the high frequencies of a picture are from those of a reference: ‖H(a) − H(b)‖ ÷ ‖H(b)‖, where H is the
 * two-dimensional discrete Fourier transform of the luma, only frequencies beyond `cutoff` kept, and ‖·‖ the L2 norm. 0
 * for equal ones, about √2 for unrelated ones of equal strength, 1 where the picture has none; Infinity where only the
 * reference has none.
 *
 * After Δ-DiT's "high-frequency error" (arXiv 2406.01125, Table 1, 0.776 to 0.866). Of the paper only the transform is
 * known; the uncached picture as reference, luma, the relative norm and the round cutoff are our choice.
 * @param cutoff in cycles a pixel, distance from the zero frequency; above 0, below 0.5 (the Nyquist frequency)
 * @throws ShapeError for pictures of different size or of no pixel; OptionError for a cutoff out of range
 */
export function highFrequencyError(picture: Pixels, reference: Pixels, cutoff = HIGH_FREQUENCY_CUTOFF): number {
  assertSameSize(picture, reference);
  const { width, height } = reference;
  if (width < 1 || height < 1) throw new ShapeError(`highFrequencyError: expected pixels, got ${width}×${height}`);
  if (!(cutoff > 0 && cutoff < 0.5))
    throw new OptionError(`cutoff: expected a number above 0 and below 0.5 cycles a pixel, got ${cutoff}`);
  const wanted = luma(reference);
  const difference = luma(picture).map((value, i) => value - (wanted[i] ?? 0)); // H is linear
  const [error, energy] = [energyBeyond(cutoff, difference, width), energyBeyond(cutoff, wanted, width)];
  return error === 0 ? 0 : Math.sqrt(error / energy);
}

/** Σ |F|² over the frequencies beyond the cutoff. @param plane row by row */
function energyBeyond(cutoff: number, plane: Float64Array, width: number): number {
  const height = plane.length / width;
  const re = plane.map((value) => value - (plane[0] ?? 0)); // a flat plane gets exact zeros; the mean does not count
  const im = new Float64Array(plane.length);
  const along = new FourierTransform(width);
  for (let y = 0; y < height; y++) {
    along.transform(re.subarray(y * width, (y + 1) * width), im.subarray(y * width, (y + 1) * width));
  }
  const across = new FourierTransform(height);
  const [columnRe, columnIm] = [new Float64Array(height), new Float64Array(height)];
  let [beyond, all] = [0, 0];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      columnRe[y] = re[y * width + x] ?? 0;
      columnIm[y] = im[y * width + x] ?? 0;
    }
    across.transform(columnRe, columnIm);
    for (let y = 0; y < height; y++) {
      const energy = (columnRe[y] ?? 0) ** 2 + (columnIm[y] ?? 0) ** 2;
      all += energy;
      if (frequency(x, width) ** 2 + frequency(y, height) ** 2 > cutoff ** 2) beyond += energy;
    }
  }
  return beyond > ROUNDING * all ? beyond : 0;
}

/** Of the k-th of n terms, without its sign, in cycles a pixel. */
function frequency(k: number, n: number): number {
  return Math.min(k, n - k) / n;
}
