import { PIXART_XL_2 } from '../../src/models/pixart-config.ts';
import { closestBin } from '../../src/pipelines/aspect-ratio-bins.ts';
import { sizeOf } from '../../src/pipelines/pixart-options.ts';

describe('closestBin', () => {
  it.each([
    [128, 1024, 1024, 1024, 1024, 1],
    [128, 832, 1216, 832, 1216, 0.68],
    [128, 1080, 1920, 768, 1344, 0.57], // 0.5625
    [128, 4000, 100, 2048, 512, 4],
    [64, 512, 512, 512, 512, 1],
    [64, 300, 1000, 288, 896, 0.32], // 0.3; .28 is as near in decimals, .32 in doubles
    [32, 256, 200, 304, 208, 1.46],
  ])('of latent %d, %d × %d is %d × %d', (inputSize, height, width, binHeight, binWidth, ratio) => {
    const bin = closestBin(inputSize, height, width);
    const away = (key: number) => Math.abs(key - height / width);
    expect(away(bin.ratio)).toBeLessThanOrEqual(away(ratio));
    if (bin.ratio === ratio) expect(bin).toEqual({ ratio, height: binHeight, width: binWidth });
  });
});

describe('sizeOf', () => {
  const MS = { ...PIXART_XL_2, inputSize: 128, interpolationScale: 2, microConditions: true };

  it('tells the model the size that it paints, the ratio as each origin does', () => {
    const asked = { height: 800, width: 1200 };
    const painted = { height: 832, width: 1216 };
    expect(sizeOf(MS, 8, false, asked)).toEqual({
      ...asked,
      ...{ paintedHeight: 832, paintedWidth: 1216 },
      conditions: { ...painted, aspectRatio: 832 / 1216 },
    });
    expect(sizeOf(MS, 8, true, asked).conditions).toEqual({ ...painted, aspectRatio: 0.68 });
  });

  it('without bins paints what is asked', () => {
    const size = sizeOf(MS, 8, false, { height: 800, width: 1200, useResolutionBinning: false });
    expect([size.paintedHeight, size.paintedWidth]).toEqual([800, 1200]);
  });
});
