/** The attention of T5 (arXiv 1910.10683, §2.1; modeling_t5.py T5Attention): relative positions, and no scale. */
import * as tf from '@tensorflow/tfjs-core';
import { joinHeads, splitHeads } from './attention.ts';
import { runFused } from './fused.ts';

/** How distances between tokens share the rows of a table of biases. */
export interface RelativeBuckets {
  /** Rows of the table, an even number: half for keys before the query, half for those after it. */
  readonly numBuckets: number;
  /** From here on all distances share the last bucket of their side. */
  readonly maxDistance: number;
}

/**
 * The bucket of a key that lies `offset` tokens after its query. Half of a side's buckets are for one distance each, the
 * others for ranges that grow logarithmically. Computed in float32 steps as PyTorch does, where a range begins exactly at
 * a whole number.
 */
export function relativeBucket(offset: number, { numBuckets, maxDistance }: RelativeBuckets): number {
  const perSide = numBuckets / 2;
  const exact = Math.floor(perSide / 2);
  const side = offset > 0 ? perSide : 0;
  const distance = Math.abs(offset);
  if (distance < exact) return side + distance;
  const growth = Math.fround(Math.log(Math.fround(distance / exact))) / Math.fround(Math.log(maxDistance / exact));
  const range = Math.trunc(Math.fround(Math.fround(growth) * (perSide - exact)));
  return side + Math.min(exact + range, perSide - 1);
}

/** The bucket of every query (row) and key (column). @returns [L,L], int32 */
export function relativeBuckets(length: number, buckets: RelativeBuckets): tf.Tensor2D {
  const values = new Int32Array(length * length);
  for (let query = 0; query < length; query++) {
    for (let key = 0; key < length; key++) values[query * length + key] = relativeBucket(key - query, buckets);
  }
  return tf.tensor2d(values, [length, length], 'int32');
}

/**
 * Leaves masked keys no weight, and all alike where none is left, as the lowest float32 of transformers does. That itself is
 * below where the softmax of tfjs on WebGPU begins its search for a row's maximum.
 */
const LOWEST = Math.fround(-3.4e38);

/**
 * What is added to the scores of each key: nothing, or the lowest number where the mask is 0.
 * @param mask N rows of L ones and zeros
 * @returns [N,1,1,L]
 */
export function keyMask(mask: readonly ArrayLike<number>[]): tf.Tensor4D {
  const length = mask[0]?.length ?? 0;
  const values = new Float32Array(mask.length * length);
  mask.forEach((row, n) => {
    for (let key = 0; key < length; key++) values[n * length + key] = row[key] === 0 ? LOWEST : 0;
  });
  return tf.tensor4d(values, [mask.length, 1, 1, length]);
}

/**
 * softmax(q·kᵀ + bias + mask)·v, without the usual 1/√d: T5's initialisation has it in the weights of q. Features are split
 * head-major. One seat, which a backend may fuse; no gradients then.
 * @param q [N,L,D]
 * @param k [N,L,D]
 * @param v [N,L,D]
 * @param bias [1,h,L,L]
 * @param mask [N,1,1,L]: see `keyMask`
 * @returns [N,L,D]
 */
export function relativeAttention(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  bias: tf.Tensor4D,
  mask: tf.Tensor4D,
): tf.Tensor3D {
  const numHeads = bias.shape[1];
  const operands = { q, k, v, scoreBias: bias, keyBias: mask };
  const fused = runFused<tf.Tensor3D>('DeltaDitAttention', operands, { numHeads, scale: 1 });
  if (fused) return fused;
  return tf.tidy(() => {
    const products = tf.matMul(splitHeads(q, numHeads), splitHeads(k, numHeads), false, true);
    const scores = tf.add(tf.add(products, bias), mask); // [N,h,L,L]
    return joinHeads(tf.matMul(tf.softmax(scores), splitHeads(v, numHeads)) as tf.Tensor4D);
  });
}
