import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import type { Numerics } from '../models/dit-config.ts';
import { roundHalfEven } from '../schedulers/noise-schedule.ts';

/** A finished picture: 8-bit RGBA, row-major, as canvas ImageData holds it. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/**
 * Decoded floats to 8 bits.
 * @param image [H,W,3] in [−1,1], clamped here; borrowed
 * @param numerics 'original': torchvision save_image, ⌊255·x + ½⌋. 'diffusers': numpy round, ties to even.
 */
export async function toPixels(image: tf.Tensor3D, numerics: Numerics): Promise<PixelImage> {
  const [height, width] = image.shape;
  const unit = tf.tidy(() => tf.clipByValue(tf.add(tf.div(image, 2), 0.5), 0, 1));
  const values = await readTensor(unit).finally(() => unit.dispose());
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  const eightBit = numerics === 'diffusers' ? roundHalfEven : (x: number) => Math.floor(Math.fround(x + 0.5));
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      data[pixel * 4 + channel] = eightBit(Math.fround(255 * (values[pixel * 3 + channel] ?? 0)));
    }
  }
  return { width, height, data };
}

/** As `toPixels`, of several; @param images consumed */
export async function allToPixels(images: readonly tf.Tensor3D[], numerics: Numerics): Promise<PixelImage[]> {
  try {
    const pictures: PixelImage[] = [];
    for (const image of images) pictures.push(await toPixels(image, numerics));
    return pictures;
  } finally {
    tf.dispose([...images]);
  }
}

/**
 * 8 bits to the floats that autoencoders take, 2·x/255 − 1 (diffusers' VaeImageProcessor).
 * @param picture its alpha is left out; lay a transparent one on a ground first
 * @returns [1,H,W,3] in [−1,1]
 */
export function fromPixels({ width, height, data }: PixelImage): tf.Tensor4D {
  const values = new Float32Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      values[pixel * 3 + channel] = 2 * Math.fround((data[pixel * 4 + channel] ?? 0) / 255) - 1;
    }
  }
  return tf.tensor4d(values, [1, height, width, 3]);
}
