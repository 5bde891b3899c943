/** Pictures of latents without decoding them: the colour of each position as an affine map of its channels. */
import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import type { AutoencoderKL } from '../models/autoencoder-kl.ts';
import { TorchGenerator } from '../ops/randn.ts';
import { type PixelImage, toPixels } from './image.ts';

/** The affine map, a row for each latent channel and one for the constant: [C+1][3], colours in [−1,1]. */
export type LatentColours = readonly (readonly number[])[];

/** Of an autoencoder, what makes latents visible. */
type LatentDecoder = Pick<AutoencoderKL, 'config' | 'scale' | 'decode'>;

/** Latents that the map is fitted on: so many of so many positions a side, an eighth of a picture of 64 × 64 in all. */
const SAMPLES = 8;
const SIDE = 8;
/** They are drawn on a grid of so many cells a side and enlarged, as neighbouring latents of pictures resemble each other. */
const CELLS = 4;

/**
 * The map that comes closest to the mean colour that the decoder gives a position, by least squares over a few small
 * random latents. Stable Diffusion's "latent RGB factors" are such a map, found once and by hand for one autoencoder;
 * this finds one for any.
 */
export async function fitLatentColours(vae: LatentDecoder): Promise<LatentColours> {
  const channels = vae.config.latentChannels;
  const latents = smoothLatents(channels);
  const pixels = tf.tidy(() => tf.clipByValue(vae.decode(latents), -1, 1)); // [N,H,W,3]
  const colours = tf.avgPool(pixels as tf.Tensor4D, vae.scale, vae.scale, 'valid'); // [N,h,w,3]
  try {
    return leastSquares(await readTensor(latents), channels, await readTensor(colours));
  } finally {
    tf.dispose([latents, pixels, colours]);
  }
}

/** @param latents [N,h,w,C], borrowed @returns N pictures of h × w */
export async function latentPictures(latents: tf.Tensor4D, colours: LatentColours): Promise<readonly PixelImage[]> {
  const [n, height, width, channels] = latents.shape;
  const pictures = tf.tidy(() => {
    const positions = tf.reshape(latents, [-1, channels]);
    const map = tf.tensor2d(colours.slice(0, channels).flat(), [channels, 3]);
    const rgb = tf.add(tf.matMul(positions as tf.Tensor2D, map), tf.tensor1d([...(colours[channels] ?? [])])); // [N·h·w,3]
    return tf.unstack(tf.reshape(rgb, [n, height, width, 3])) as tf.Tensor3D[];
  });
  try {
    const images: PixelImage[] = [];
    for (const picture of pictures) images.push(await toPixels(picture, 'diffusers'));
    return images;
  } finally {
    tf.dispose(pictures);
  }
}

/** [SAMPLES,SIDE,SIDE,C] of about unit variance, as latents of a model have it; always the same. */
function smoothLatents(channels: number): tf.Tensor4D {
  const values = new TorchGenerator(0).randn(SAMPLES * CELLS * CELLS * channels);
  return tf.tidy(() =>
    tf.image.resizeBilinear(tf.tensor4d(values, [SAMPLES, CELLS, CELLS, channels]), [SIDE, SIDE], false, true),
  );
}

/** B of [x, 1]·B ≈ y over all rows, from the normal equations. @param x rows of `columns` @param y rows of 3 */
function leastSquares(x: ArrayLike<number>, columns: number, y: ArrayLike<number>): number[][] {
  const size = columns + 1;
  const rows = Array.from({ length: size }, () => Array<number>(size + 3).fill(0)); // [XᵀX | Xᵀy]
  for (let i = 0; i < x.length / columns; i++) {
    const features = Array.from({ length: size }, (_, j) => (j < columns ? (x[i * columns + j] ?? 0) : 1));
    const all = [...features, y[i * 3] ?? 0, y[i * 3 + 1] ?? 0, y[i * 3 + 2] ?? 0];
    rows.forEach((row, j) => {
      all.forEach((value, k) => {
        row[k] = (row[k] ?? 0) + (features[j] ?? 0) * value;
      });
    });
  }
  return eliminated(rows).map((row) => row.slice(size));
}

/** Gauss-Jordan of [A | B] to [1 | A⁻¹·B]; A is positive definite, so that no pivot is 0. */
function eliminated(rows: readonly (readonly number[])[]): number[][] {
  const done = rows.map((row) => [...row]);
  done.forEach((pivotRow, i) => {
    const pivot = pivotRow[i] ?? 1;
    pivotRow.forEach((value, k) => {
      pivotRow[k] = value / pivot;
    });
    done.forEach((row, j) => {
      const factor = row[i] ?? 0;
      if (j !== i)
        row.forEach((value, k) => {
          row[k] = value - factor * (pivotRow[k] ?? 0);
        });
    });
  });
  return done;
}
