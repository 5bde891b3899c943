import { type Pixels, psnr } from '../metrics/psnr.ts';
import { ssim } from '../metrics/ssim.ts';
import { meanOf, medianOf, stdOf } from './spread.ts';

/** How near a picture is to another one. */
export interface Similarity {
  /** dB; Infinity for equal pictures, which JSON writes as null. */
  readonly psnr: number;
  readonly ssim: number;
}

/** Of a sample of pictures. */
export interface Distribution {
  readonly median: number;
  readonly mean: number;
  /** Standard deviation of the sample, over n − 1. */
  readonly std: number;
}

/**
 * Equal pictures have an infinite PSNR, which has no place in a mean: its mean and std are of the pictures that differ,
 * and `identical` counts the others. The median is of all. Where all are equal, median and mean are Infinity, null in
 * JSON.
 */
export interface SimilaritySummary {
  readonly psnr: Distribution & { readonly identical: number };
  readonly ssim: Distribution;
}

export function similarityOf(picture: Pixels, to: Pixels): Similarity {
  return { psnr: psnr(picture, to), ssim: ssim(picture, to) };
}

export function summaryOf(similarities: readonly Similarity[]): SimilaritySummary {
  const decibels = similarities.map((one) => one.psnr);
  const differing = decibels.filter((value) => value !== Number.POSITIVE_INFINITY);
  const [mean, std] = differing.length > 0 ? [meanOf(differing), stdOf(differing)] : [Number.POSITIVE_INFINITY, 0];
  const indices = similarities.map((one) => one.ssim);
  return {
    psnr: { median: medianOf(decibels), mean, std, identical: decibels.length - differing.length },
    ssim: { median: medianOf(indices), mean: meanOf(indices), std: stdOf(indices) },
  };
}
