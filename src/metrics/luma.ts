import type { Pixels } from './psnr.ts';

/** Rec. 601 luma of each pixel, 0 to 255, not rounded: the grey of OpenCV and Pillow. */
export function luma({ width, height, data }: Pixels): Float64Array {
  const grey = new Float64Array(width * height);
  for (let i = 0, at = 0; i < grey.length; i++, at += 4) {
    grey[i] = 0.299 * (data[at] as number) + 0.587 * (data[at + 1] as number) + 0.114 * (data[at + 2] as number);
  }
  return grey;
}
