import { highFrequencyError } from './high-frequency.ts';
import { type Pixels, psnr } from './psnr.ts';
import { sobelMeanGradient } from './sobel.ts';
import { ssim } from './ssim.ts';

/** How a picture differs from the one that it stands for. */
export interface PairMeasures {
  /** dB; Infinity for equal pictures. */
  readonly psnr: number;
  readonly ssim: number;
  /** Mean Sobel gradient less that of the reference: above 0 where outlines are sharper, or there is more noise. */
  readonly gradientDifference: number;
  /** At the default cutoff; Infinity where only the reference has no high frequencies. */
  readonly highFrequencyError: number;
}

/** @throws ShapeError for pictures of different size, or smaller than SSIM's window */
export function measurePair(picture: Pixels, reference: Pixels): PairMeasures {
  return {
    psnr: psnr(picture, reference),
    ssim: ssim(picture, reference),
    gradientDifference: sobelMeanGradient(picture) - sobelMeanGradient(reference),
    highFrequencyError: highFrequencyError(picture, reference),
  };
}
