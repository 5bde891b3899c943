import { type PixelImage, psnr, ssim } from '../index.ts';
import { duration } from './progress.ts';

/** SSIM looks at windows of this side. */
const SSIM_WINDOW = 11;

/** What an encoding and a decoding made of a picture. */
export interface Reconstruction {
  /** As the file has it. */
  readonly picture: PixelImage;
  /** As it was encoded. */
  readonly original: PixelImage;
  readonly decoded: PixelImage;
  /** Pixels per latent position. */
  readonly scale: number;
  readonly latentShape: readonly number[];
  /** Of the noise; null where the latents are the mean. */
  readonly seed: number | null;
  readonly encodeSeconds: number;
  readonly decodeSeconds: number;
}

/** A line each for the size, the latents, and what was lost. @param name of the picture */
export function reconstructionReport(name: string, result: Reconstruction): string {
  const { picture, original, decoded, scale, latentShape, seed, encodeSeconds, decodeSeconds } = result;
  const size = ({ width, height }: PixelImage) => `${width}×${height}`;
  const resized =
    picture === original ? '' : `, resized to ${size(original)}, multiples of ${scale} (Lanczos, as diffusers does)`;
  const similarity =
    Math.min(original.width, original.height) < SSIM_WINDOW
      ? `no SSIM below ${SSIM_WINDOW}×${SSIM_WINDOW} pixels`
      : `SSIM ${ssim(original, decoded).toFixed(4)}`;
  return [
    `${name}: ${size(picture)} pixels${resized}`,
    `latents [${latentShape.join(', ')}], ${seed === null ? 'the mean' : `drawn with seed ${seed}`}`,
    `PSNR ${psnr(original, decoded).toFixed(2)} dB, ${similarity}`,
    `encoded in ${duration(encodeSeconds)}, decoded in ${duration(decodeSeconds)}`,
  ].join('\n');
}
