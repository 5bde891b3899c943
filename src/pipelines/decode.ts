import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import { type AutoencoderKL, DECODE_TILE_BUDGET, type TiledDecodeOptions } from '../models/autoencoder-kl.ts';
import { decodesInTiles } from '../models/memory.ts';
import { checkAborted } from './sample.ts';

export interface Decoded {
  /** Decoded floats [H,W,3], nominally in [−1,1]. */
  readonly images: readonly tf.Tensor3D[];
  readonly decodeSeconds: number;
}

/**
 * One picture at a time, and in bands of rows where it is large: a decoder's activations are the largest tensors of a run.
 * @param latents [N,h,w,C], consumed
 * @param tileBudgetBytes above which a picture is decoded in bands
 * @throws AbortError between two pictures, or two bands of one, when stopped
 */
export async function decodeEach(
  vae: AutoencoderKL,
  latents: tf.Tensor4D,
  signal: AbortSignal | undefined,
  tileBudgetBytes = DECODE_TILE_BUDGET,
): Promise<Decoded> {
  const start = performance.now();
  const images: tf.Tensor3D[] = [];
  try {
    for (let i = 0; i < latents.shape[0]; i++) {
      const picture = `picture ${i + 1} of ${latents.shape[0]}`;
      checkAborted(signal, `before decoding ${picture}`);
      const z = tf.slice(latents, [i, 0, 0, 0], [1, -1, -1, -1]);
      const betweenBands = () => checkAborted(signal, `while decoding ${picture}`);
      const image = await decodeOne(vae, z, { tileBudgetBytes, betweenBands });
      images.push(image);
      await readTensor(image); // so that the time of decoding is counted where it is spent
    }
    return { images, decodeSeconds: (performance.now() - start) / 1000 };
  } catch (error) {
    tf.dispose(images);
    throw error;
  } finally {
    latents.dispose();
  }
}

/** @param z [1,h,w,C], consumed @returns [H,W,3] */
async function decodeOne(vae: AutoencoderKL, z: tf.Tensor4D, options: TiledDecodeOptions): Promise<tf.Tensor3D> {
  const [, height, width] = z.shape;
  try {
    const inTiles = decodesInTiles(vae.config, height, width, options.tileBudgetBytes);
    const image = inTiles ? await vae.decodeTiled(z, options) : vae.decode(z);
    const picture = tf.squeeze<tf.Tensor3D>(image, [0]);
    image.dispose();
    return picture;
  } finally {
    z.dispose();
  }
}
