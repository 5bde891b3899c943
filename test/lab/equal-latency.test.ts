import { frontierOf, psnrAtLatency } from '../../src/lab/equal-latency.ts';

const point = (seconds: number, psnr: number) => ({ seconds, psnr });

describe('the frontier', () => {
  it('leaves out what another point beats in time and in quality', () => {
    const [a, b, c, slower] = [point(1, 20), point(2, 25), point(4, 30), point(3, 24)];
    expect(frontierOf([c, slower, b, a])).toEqual([a, b, c]);
    expect(frontierOf([point(1, 20), point(1, 22)])).toEqual([point(1, 22)]);
  });
});

describe('uncached sampling in the same time', () => {
  const line = [point(1, 20), point(2, 26), point(4, 30), point(3, 10)];

  it('is on the line in log time between two points', () => {
    expect(psnrAtLatency(line, 1)).toBe(20);
    expect(psnrAtLatency(line, Math.SQRT2)).toBeCloseTo(23, 10);
    expect(psnrAtLatency(line, 2 * Math.SQRT2)).toBeCloseTo(28, 10);
  });

  it('is not known below the fastest, and the slowest above it', () => {
    expect(psnrAtLatency(line, 0.9)).toBeUndefined();
    expect(psnrAtLatency(line, 10)).toBe(30);
    expect(psnrAtLatency([], 1)).toBeUndefined();
  });
});
