import * as tf from '@tensorflow/tfjs-core';
import type { AutoencoderKL } from '../models/autoencoder-kl.ts';
import { checkAborted } from './sample.ts';

export interface Decoded {
  /** Decoded floats [H,W,3], nominally in [−1,1]. */
  readonly images: readonly tf.Tensor3D[];
  readonly decodeSeconds: number;
}

/**
 * One picture at a time: a decoder's activations are the largest tensors of a run.
 * @param latents [N,h,w,C], consumed
 * @throws AbortError between two pictures when stopped
 */
export async function decodeEach(
  vae: AutoencoderKL,
  latents: tf.Tensor4D,
  signal: AbortSignal | undefined,
): Promise<Decoded> {
  const start = performance.now();
  const images: tf.Tensor3D[] = [];
  try {
    for (let i = 0; i < latents.shape[0]; i++) {
      checkAborted(signal, `before decoding picture ${i + 1} of ${latents.shape[0]}`);
      const image = tf.tidy(() =>
        tf.squeeze(vae.decode(tf.slice(latents, [i, 0, 0, 0], [1, -1, -1, -1])), [0]),
      ) as tf.Tensor3D;
      images.push(image);
      await image.data(); // so that the time of decoding is counted where it is spent
    }
    return { images, decodeSeconds: (performance.now() - start) / 1000 };
  } catch (error) {
    tf.dispose(images);
    throw error;
  } finally {
    latents.dispose();
  }
}
