import { similarityOf, summaryOf } from '../../src/lab/bench-similarity.ts';
import type { Pixels } from '../../src/metrics/psnr.ts';

const flat = (level: number): Pixels => ({ width: 12, height: 12, data: new Uint8ClampedArray(4 * 144).fill(level) });
const of = (psnr: number, ssim = 1) => ({ psnr, ssim });

it('compares pixels', () => {
  expect(similarityOf(flat(7), flat(7)).psnr).toBe(Number.POSITIVE_INFINITY);
  expect(similarityOf(flat(7), flat(7)).ssim).toBeCloseTo(1, 12);
  expect(similarityOf(flat(10), flat(11)).psnr).toBeCloseTo(20 * Math.log10(255), 12);
});

it('sums up over pictures', () => {
  const { psnr, ssim } = summaryOf([of(20, 0.5), of(30, 0.75), of(34, 1)]);
  expect(psnr).toEqual({ median: 30, mean: 28, std: Math.sqrt(52), identical: 0 });
  expect(ssim).toEqual({ median: 0.75, mean: 0.75, std: 0.25 });
});

it('counts equal pictures in the median, and names them apart from the mean', () => {
  const { psnr } = summaryOf([of(Number.POSITIVE_INFINITY), of(20), of(30)]);
  expect(psnr).toEqual({ median: 30, mean: 25, std: Math.sqrt(50), identical: 1 });
});

it('where all are equal says so, and JSON can hold it', () => {
  const { psnr } = summaryOf([of(Number.POSITIVE_INFINITY), of(Number.POSITIVE_INFINITY)]);
  expect(psnr).toEqual({ median: Number.POSITIVE_INFINITY, mean: Number.POSITIVE_INFINITY, std: 0, identical: 2 });
  expect(JSON.parse(JSON.stringify(psnr))).toEqual({ median: null, mean: null, std: 0, identical: 2 });
});
