import { ShapeError } from '../errors.ts';

/** 8-bit RGBA pixels, row-major; alpha is left out of every metric. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

/** Largest value of a channel. */
export const PEAK = 255;

/** Peak signal-to-noise ratio over all three channels, in dB; Infinity for equal pictures. */
export function psnr(a: Pixels, b: Pixels): number {
  assertSameSize(a, b);
  let sum = 0;
  for (let pixel = 0; pixel < a.width * a.height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const difference = (a.data[4 * pixel + channel] ?? 0) - (b.data[4 * pixel + channel] ?? 0);
      sum += difference * difference;
    }
  }
  return 10 * Math.log10(PEAK ** 2 / (sum / (3 * a.width * a.height)));
}

/** @throws ShapeError when two pictures cannot be compared. */
export function assertSameSize(a: Pixels, b: Pixels): void {
  if (a.width !== b.width || a.height !== b.height) {
    throw new ShapeError(
      `pictures to compare: expected the same size, got ${a.width}×${a.height} and ${b.width}×${b.height}`,
    );
  }
}
