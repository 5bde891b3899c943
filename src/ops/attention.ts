import * as tf from '@tensorflow/tfjs-core';

/**
 * Scaled dot-product attention, softmax(q·kᵀ/√d)·v: the only attention of the library.
 * @param q [N,h,T,d]
 * @param k [N,h,S,d]
 * @param v [N,h,S,d]
 * @returns [N,h,T,d]
 */
export function attention(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => {
    const scale = 1 / Math.sqrt(q.shape[3]);
    const scores = tf.matMul(tf.mul(q, scale), k, false, true); // [N,h,T,S]
    return tf.matMul(tf.softmax(scores), v) as tf.Tensor4D;
  });
}

/**
 * Self-attention straight from the fused projection, whose features are q | k | v, each split head-major
 * (timm Attention: reshape to [3, h, d], q|k|v outermost).
 * @param qkv [N,T,3·D]
 * @returns [N,T,D]
 */
export function selfAttention(qkv: tf.Tensor3D, numHeads: number): tf.Tensor3D {
  const [n, t, width] = qkv.shape;
  const hiddenSize = width / 3;
  return tf.tidy(() => {
    const split = tf.reshape(qkv, [n, t, 3, numHeads, hiddenSize / numHeads]);
    const [q, k, v] = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4])) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
    const heads = attention(q, k, v); // [N,h,T,d]
    return tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [n, t, hiddenSize]);
  });
}
