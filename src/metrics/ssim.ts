import { ShapeError } from '../errors.ts';
import { gaussianBlur, gaussianWindow } from './gaussian.ts';
import { assertSameSize, PEAK, type Pixels } from './psnr.ts';

// Wang et al. 2004: Gaussian window of σ 1.5 over 11 pixels, K1 = 0.01, K2 = 0.03
const SIGMA = 1.5;
const RADIUS = 5;
const WINDOW = gaussianWindow(RADIUS, SIGMA);
const C1 = (0.01 * PEAK) ** 2;
const C2 = (0.03 * PEAK) ** 2;

/**
 * Structural similarity, the mean over the three channels and over the pixels whose whole window lies inside; equals
 * scikit-image's structural_similarity(channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False).
 * @throws ShapeError for pictures of different size, or smaller than the window
 */
export function ssim(a: Pixels, b: Pixels): number {
  assertSameSize(a, b);
  const window = 2 * RADIUS + 1;
  if (a.width < window || a.height < window) {
    throw new ShapeError(`ssim: expected pictures of at least ${window}×${window} pixels, got ${a.width}×${a.height}`);
  }
  return (
    [0, 1, 2].reduce((sum, channel) => sum + channelSsim(plane(a, channel), plane(b, channel), a.width, a.height), 0) /
    3
  );
}

function plane({ width, height, data }: Pixels, channel: number): Float64Array {
  const values = new Float64Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = data[4 * i + channel] as number;
  return values;
}

function product(x: Float64Array, y: Float64Array): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) out[i] = (x[i] as number) * (y[i] as number);
  return out;
}

function channelSsim(a: Float64Array, b: Float64Array, width: number, height: number): number {
  const blurred = (x: Float64Array) => gaussianBlur(x, width, height, WINDOW);
  const [meanA, meanB] = [blurred(a), blurred(b)];
  const [aa, bb, ab] = [blurred(product(a, a)), blurred(product(b, b)), blurred(product(a, b))];
  let sum = 0;
  let count = 0;
  for (let y = RADIUS; y < height - RADIUS; y++) {
    for (let x = RADIUS; x < width - RADIUS; x++) {
      const i = y * width + x;
      const ma = meanA[i] as number;
      const mb = meanB[i] as number;
      const va = (aa[i] as number) - ma * ma;
      const vb = (bb[i] as number) - mb * mb;
      const cov = (ab[i] as number) - ma * mb;
      sum += ((2 * ma * mb + C1) * (2 * cov + C2)) / ((ma * ma + mb * mb + C1) * (va + vb + C2));
      count++;
    }
  }
  return sum / count;
}
