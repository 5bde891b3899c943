import type { PixelImage } from './image.ts';

/** The lobes of the kernel on each side, in pixels of the coarser picture. */
const LOBES = 3;
/** Pillow's weights of 8-bit channels are whole numbers of this many binary places (ImagingResample, PRECISION_BITS). */
const ONE = 2 ** 22;

/** Where one output pixel looks, and how much it takes from each pixel there. */
interface Window {
  readonly from: number;
  readonly weights: readonly number[];
}

/**
 * Pillow's `Image.resize(…, LANCZOS)`, which diffusers' pipelines resize with: first the rows, then the columns, each
 * rounded to 8 bits (Pillow 13 begins with the columns for some sizes). Alpha is left out: the result is opaque.
 */
export function resizeLanczos(picture: PixelImage, width: number, height: number): PixelImage {
  const across = picture.width === width ? picture : resample(picture, width, true);
  return across.height === height ? across : resample(across, height, false);
}

/** One axis of a picture to another size. */
function resample(picture: PixelImage, size: number, horizontal: boolean): PixelImage {
  const { width, height, data } = picture;
  const [outWidth, outHeight] = horizontal ? [size, height] : [width, size];
  const windows = windowsOf(horizontal ? width : height, size);
  const out = new Uint8ClampedArray(outWidth * outHeight * 4).fill(255);
  const step = horizontal ? 4 : 4 * width; // between neighbours along the axis
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const { from, weights } = windows[horizontal ? x : y] as Window;
      const first = (horizontal ? y * width : x) * 4 + from * step;
      for (let channel = 0; channel < 3; channel++) {
        let sum = ONE / 2;
        for (let i = 0; i < weights.length; i++) sum += (weights[i] ?? 0) * (data[first + i * step + channel] ?? 0);
        out[(y * outWidth + x) * 4 + channel] = Math.floor(sum / ONE); // clamped to 0…255 by the array
      }
    }
  }
  return { width: outWidth, height: outHeight, data: out };
}

function windowsOf(inSize: number, outSize: number): readonly Window[] {
  const scale = inSize / outSize;
  const stretch = Math.max(scale, 1); // a smaller picture averages over wider windows
  return Array.from({ length: outSize }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const from = Math.max(Math.trunc(centre - LOBES * stretch + 0.5), 0);
    const to = Math.min(Math.trunc(centre + LOBES * stretch + 0.5), inSize);
    const raw = Array.from({ length: to - from }, (_, k) => lanczos((from + k - centre + 0.5) / stretch));
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    return { from, weights: raw.map((weight) => roundHalfAway((weight / total) * ONE)) };
  });
}

function lanczos(x: number): number {
  return -LOBES <= x && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function roundHalfAway(x: number): number {
  return Math.trunc(x < 0 ? x - 0.5 : x + 0.5);
}
