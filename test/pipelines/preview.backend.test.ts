import * as tf from '@tensorflow/tfjs-core';
import { openDiT } from '../../converters/open-dit.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import type { PixelImage } from '../../src/pipelines/image.ts';
import { fitLatentColours, latentPictures } from '../../src/pipelines/preview.ts';
import { expectNoLeak } from '../support/memory.ts';

const CLASSES = ['heart', 'cat face'];

let pipe: DiTPipeline;
beforeAll(async () => {
  const checkpoint = await openDiT('checkpoints/dit-emoji');
  pipe = await DiTPipeline.fromCheckpoint(checkpoint);
  await checkpoint.close();
});
afterAll(() => pipe.dispose());

/** Colours of all pixels, without alpha. */
function colours(picture: PixelImage): number[] {
  return Array.from(picture.data).filter((_, i) => i % 4 !== 3);
}

/** Mean colour of each cell of `scale` × `scale` pixels. */
function shrunk({ width, height, data }: PixelImage, scale: number): number[] {
  const [columns, rows] = [width / scale, height / scale];
  const sums = Array<number>(columns * rows * 3).fill(0);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const cell = Math.floor(y / scale) * columns + Math.floor(x / scale);
      for (let c = 0; c < 3; c++) sums[cell * 3 + c]! += data[(y * width + x) * 4 + c]! / scale ** 2;
    }
  }
  return sums;
}

/** Pearson's correlation. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  const product = (x: readonly number[], mx: number, y: readonly number[], my: number) =>
    x.reduce((sum, value, i) => sum + (value - mx) * (y[i]! - my), 0);
  return product(a, meanA, b, meanB) / Math.sqrt(product(a, meanA, a, meanA) * product(b, meanB, b, meanB));
}

describe('DiTPipeline.preview', () => {
  it('shows what the picture becomes, half way already by the clean latents', async () => {
    const previews: Record<'clean' | 'noisy', (readonly PixelImage[])[]> = { clean: [], noisy: [] };
    const { images } = await pipe.generate({
      classLabels: CLASSES,
      seed: [7, 7],
      numInferenceSteps: 6,
      onStep: async ({ latents, xStart }) => {
        const clean = xStart();
        previews.clean.push(await pipe.preview(clean));
        previews.noisy.push(await pipe.preview(latents));
        clean.dispose();
      },
    });
    const { scale } = pipe.vae;
    images.forEach((image, i) => {
      const likeness = (pictures: readonly PixelImage[] | undefined) =>
        correlation(colours(pictures![i]!), shrunk(image, scale));
      const { width, height } = previews.clean[0]![i]!;
      expect([width * scale, height * scale]).toEqual([image.width, image.height]);
      expect(likeness(previews.clean.at(-1))).toBeGreaterThan(0.8);
      expect(likeness(previews.clean[2])).toBeGreaterThan(0.6);
      expect(likeness(previews.clean[2])).toBeGreaterThan(likeness(previews.noisy[2]) + 0.2);
    });
  });
});

describe('fitLatentColours', () => {
  it('finds the map of a decoder that is one, and leaks nothing', async () => {
    // each pixel is the same affine map of its latent, enlarged
    const kernel = [0.1, 0.02, -0.03, -0.05, 0.06, 0.01, 0.02, 0, 0.04, 0, -0.02, 0.03];
    const bias = [0.1, -0.2, 0.3];
    const decode = (z: tf.Tensor4D) =>
      tf.tidy(() => {
        const [n, h, w, c] = z.shape;
        const rgb = tf.add(tf.matMul(tf.reshape(z, [-1, c]), tf.tensor2d(kernel, [4, 3])), tf.tensor1d(bias));
        return tf.image.resizeNearestNeighbor(tf.reshape(rgb, [n, h, w, 3]) as tf.Tensor4D, [2 * h, 2 * w]);
      });
    const vae = { config: { ...pipe.vae.config, latentChannels: 4 }, scale: 2, decode };
    const map = await expectNoLeak(() => fitLatentColours(vae));
    for (const [i, value] of [...kernel, ...bias].entries()) expect(map.flat()[i]).toBeCloseTo(value, 4);
  });

  it('leads to pictures of one pixel a latent', async () => {
    const latents = tf.tensor4d([0, 1, -1, 0.5], [1, 1, 4, 1]);
    const map = [
      [1, 0, -1],
      [0, 0.5, 0],
    ];
    const [picture] = await expectNoLeak(() => latentPictures(latents, map));
    expect([picture!.width, picture!.height]).toEqual([4, 1]);
    expect(colours(picture!)).toEqual([128, 191, 128, 255, 191, 0, 0, 191, 255, 191, 191, 64]);
    latents.dispose();
  });
});
