import { OptionError } from '../errors.ts';

/** A size that PixArt-α was trained on. Pixels. */
export interface AspectRatioBin {
  readonly height: number;
  readonly width: number;
  /** As the original names it and tells its model; diffusers tells the exact quotient. */
  readonly ratio: number;
}

/**
 * height ÷ width → height × width at 1024 px: ASPECT_RATIO_1024_TEST of PixArt-alpha's diffusion/data/datasets/utils.py,
 * ASPECT_RATIO_1024_BIN of diffusers. Those of 512 and 256 px are halves and quarters.
 */
const BINS_1024 =
  '.25 512×2048; .28 512×1856; .32 576×1792; .33 576×1728; .35 576×1664; .4 640×1600; .42 640×1536; .48 704×1472; ' +
  '.5 704×1408; .52 704×1344; .57 768×1344; .6 768×1280; .68 832×1216; .72 832×1152; .78 896×1152; .82 896×1088; ' +
  '.88 960×1088; .94 960×1024; 1.0 1024×1024; 1.07 1024×960; 1.13 1088×960; 1.21 1088×896; 1.29 1152×896; ' +
  '1.38 1152×832; 1.46 1216×832; 1.67 1280×768; 1.75 1344×768; 2.0 1408×704; 2.09 1472×704; 2.4 1536×640; ' +
  '2.5 1600×640; 3.0 1728×576; 4.0 2048×512';

const BINS: readonly AspectRatioBin[] = BINS_1024.split('; ').map((entry) => {
  const [ratio = 0, height = 0, width = 0] = entry.split(/[ ×]/).map(Number);
  return { ratio, height, width };
});

/** The latent sizes that have bins, and what their pictures measure of the 1024 px ones (diffusers PixArtAlphaPipeline). */
const SHARE_OF_1024: ReadonlyMap<number, number> = new Map([
  [32, 1 / 4],
  [64, 1 / 2],
  [128, 1],
]);

/** Whether a model of this latent size was trained on bins that are known. */
export function hasBins(inputSize: number): boolean {
  return SHARE_OF_1024.has(inputSize);
}

/** The bin whose ratio is closest to height ÷ width, the first of two. @throws OptionError where a model has no bins. */
export function closestBin(inputSize: number, height: number, width: number): AspectRatioBin {
  const share = SHARE_OF_1024.get(inputSize);
  if (share === undefined) {
    throw new OptionError(
      `useResolutionBinning: there are no bins for a latent of ${inputSize}, only for 32, 64 and 128 (256, 512 and 1024 pixels); turn it off and give a size in whole patches`,
    );
  }
  const away = ({ ratio }: AspectRatioBin) => Math.abs(ratio - height / width);
  const { ratio, ...size } = BINS.reduce((best, bin) => (away(bin) < away(best) ? bin : best));
  return { ratio, height: size.height * share, width: size.width * share };
}
