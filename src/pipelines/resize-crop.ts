import * as tf from '@tensorflow/tfjs-core';

/**
 * A picture at another size: enlarged or shrunk until it covers it, bilinear with half-pixel centres and without
 * smoothing, then cut around the middle (diffusers PixArtImageProcessor.resize_and_crop_tensor, torch interpolate).
 * @param image [h,w,3], borrowed @returns [height,width,3]
 */
export function resizeAndCrop(image: tf.Tensor3D, height: number, width: number): tf.Tensor3D {
  const [h, w] = image.shape;
  if (h === height && w === width) return image.clone();
  const ratio = Math.max(height / h, width / w);
  const [tall, wide] = [Math.trunc(h * ratio), Math.trunc(w * ratio)];
  const [top, left] = [Math.floor((tall - height) / 2), Math.floor((wide - width) / 2)];
  return tf.tidy(() => {
    const resized = tf.image.resizeBilinear(image, [tall, wide], false, true);
    return tf.slice(resized, [top, left, 0], [height, width, 3]);
  });
}
