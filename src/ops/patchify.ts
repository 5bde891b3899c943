import * as tf from '@tensorflow/tfjs-core';

/**
 * Cuts an image into patches, row-major; a patch is flattened as (row, column, channel).
 * @param x [N,H,W,C]
 * @returns [N, (H/p)·(W/p), p·p·C]
 */
export function patchify(x: tf.Tensor4D, patchSize: number): tf.Tensor3D {
  const [n, height, width, channels] = x.shape;
  const [h, w, p] = [height / patchSize, width / patchSize, patchSize];
  return tf.tidy(() => {
    const split = tf.reshape(x, [n, h, p, w, p, channels]);
    return tf.reshape(tf.transpose(split, [0, 1, 3, 2, 4, 5]), [n, h * w, p * p * channels]); // [n,h,w,p,p,c]
  });
}

/**
 * The inverse: tokens whose features are (row, column, channel) become an image (DiT models.py unpatchify).
 * @param tokens [N, h·w, p·p·C]
 * @returns [N, h·p, w·p, C]
 */
export function unpatchify(tokens: tf.Tensor3D, patchSize: number, h: number, w: number): tf.Tensor4D {
  const [n, , features] = tokens.shape;
  const [p, channels] = [patchSize, features / (patchSize * patchSize)];
  return tf.tidy(() => {
    const split = tf.reshape(tokens, [n, h, w, p, p, channels]);
    return tf.reshape(tf.transpose(split, [0, 1, 3, 2, 4, 5]), [n, h * p, w * p, channels]); // [n,h,p,w,p,c]
  });
}
