import type { Pixels } from './psnr.ts';

/** Rec. 601 luma of each pixel, 0 to 255, not rounded: the grey of OpenCV and Pillow. */
export function luma({ width, height, data }: Pixels): Float64Array {
  return Float64Array.from({ length: width * height }, (_, pixel) => {
    const [red = 0, green = 0, blue = 0] = [data[4 * pixel], data[4 * pixel + 1], data[4 * pixel + 2]];
    return 0.299 * red + 0.587 * green + 0.114 * blue;
  });
}
