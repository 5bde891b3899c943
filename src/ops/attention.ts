import * as tf from '@tensorflow/tfjs-core';
import { runFused } from './fused.ts';

/**
 * What the scores of one attention may take, in bytes. The matrix of T×S scores of all heads is never held whole where it
 * needs more: 4,096 tokens and 16 heads would take 1 GiB a sample. One tile's scores, and what softmax makes of them, fit.
 */
export const ATTENTION_MEMORY_BUDGET = 256 * 2 ** 20;

export interface AttentionOptions {
  /** Added to the scores of each key, [N,1,1,S]: see `keyBias`. */
  readonly bias?: tf.Tensor4D | undefined;
  /** Bytes for scores. Default `ATTENTION_MEMORY_BUDGET`; a single query is computed whatever it takes. */
  readonly memoryBudget?: number | undefined;
}

/**
 * Scaled dot-product attention, softmax(q·kᵀ/√d + bias)·v: the only attention of the library. Queries are taken in tiles
 * that keep within the memory budget; a row of scores is whole in its tile, so that tiles change rounding at most.
 * @param q [N,h,T,d]
 * @param k [N,h,S,d]
 * @param v [N,h,S,d]
 * @returns [N,h,T,d]
 */
export function attention(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  { bias, memoryBudget = ATTENTION_MEMORY_BUDGET }: AttentionOptions = {},
): tf.Tensor4D {
  const [n, h, queries, d] = q.shape;
  const rowBytes = n * h * k.shape[2] * Float32Array.BYTES_PER_ELEMENT;
  const matrices = bias ? 3 : 2; // held at once: scores, scores with bias, softmax
  const rows = Math.max(1, Math.floor(memoryBudget / (matrices * rowBytes)));
  if (rows >= queries) return attend(q, k, v, bias);
  return tf.tidy(() => {
    const tiles: tf.Tensor4D[] = [];
    for (let first = 0; first < queries; first += rows) {
      const size = Math.min(rows, queries - first);
      tiles.push(tf.tidy(() => attend(tf.slice(q, [0, 0, first, 0], [n, h, size, d]), k, v, bias))); // [N,h,rows,d]
    }
    return tf.concat(tiles, 2);
  });
}

function attend(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, bias: tf.Tensor4D | undefined): tf.Tensor4D {
  return tf.tidy(() => {
    const scale = 1 / Math.sqrt(q.shape[3]);
    const scores = tf.matMul(tf.mul(q, scale), k, false, true); // [N,h,T,S]
    return tf.matMul(tf.softmax(bias ? tf.add(scores, bias) : scores), v) as tf.Tensor4D;
  });
}

// Diffusers' transformers add this to the scores of masked keys. In float32 it leaves them a weight of exactly 0, as if
// they had been removed, which is what the original PixArt does; where all keys are masked it weighs them alike.
const MASKED = -10_000;

/**
 * The bias that keeps masked keys out of an attention.
 * @param mask [N,S], 1 for keys that are attended to, 0 for the others
 * @returns [N,1,1,S]
 */
export function keyBias(mask: tf.Tensor2D): tf.Tensor4D {
  const [n, s] = mask.shape;
  return tf.tidy(() => tf.reshape(tf.mul(tf.sub(1, mask), MASKED), [n, 1, 1, s]));
}

/**
 * Self-attention straight from the fused projection, whose features are q | k | v, each split head-major
 * (timm Attention: reshape to [3, h, d], q|k|v outermost). One seat, which a backend may fuse; no gradients then, and the
 * scores of a few tokens at a time take less than any budget.
 * @param qkv [N,T,3·D]
 * @returns [N,T,D]
 */
export function selfAttention(qkv: tf.Tensor3D, numHeads: number, options: AttentionOptions = {}): tf.Tensor3D {
  const fused = options.bias ? undefined : runFused<tf.Tensor3D>('DeltaDitSelfAttention', { qkv }, { numHeads });
  if (fused) return fused;
  return tf.tidy(() => {
    const [q, k, v] = intoHeads(qkv, 3, numHeads) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
    return joinHeads(attention(q, k, v, options));
  });
}

/**
 * Cross-attention from its two projections; the features of `kv` are k | v, split as in `selfAttention`
 * (PixArt_blocks.py MultiHeadCrossAttention). A seat like it.
 * @param q [N,T,D]
 * @param kv [N,S,2·D]
 * @returns [N,T,D]
 */
export function crossAttention(
  q: tf.Tensor3D,
  kv: tf.Tensor3D,
  numHeads: number,
  options: AttentionOptions = {},
): tf.Tensor3D {
  const { bias } = options;
  const fused = runFused<tf.Tensor3D>('DeltaDitCrossAttention', { q, kv, ...(bias && { bias }) }, { numHeads });
  if (fused) return fused;
  return tf.tidy(() => {
    const query = splitHeads(q, numHeads);
    const [k, v] = intoHeads(kv, 2, numHeads) as [tf.Tensor4D, tf.Tensor4D];
    return joinHeads(attention(query, k, v, options));
  });
}

/**
 * Attention from three projections apart, each split as in `selfAttention`. A seat like it.
 * @param q [N,T,D]
 * @param k [N,S,D]
 * @param v [N,S,D]
 * @returns [N,T,D]
 */
export function multiHeadAttention(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  numHeads: number,
  options: AttentionOptions = {},
): tf.Tensor3D {
  const { bias } = options;
  const scale = (q.shape[2] / numHeads) ** -0.5;
  const operands = { q, k, v, ...(bias && { keyBias: bias }) };
  const fused = runFused<tf.Tensor3D>('DeltaDitAttention', operands, { numHeads, scale });
  if (fused) return fused;
  return tf.tidy(() => {
    const [query, key, value] = [splitHeads(q, numHeads), splitHeads(k, numHeads), splitHeads(v, numHeads)];
    return joinHeads(attention(query, key, value, options));
  });
}

/** [N,T,parts·D] → `parts` of [N,h,T,d]. */
function intoHeads(x: tf.Tensor3D, parts: number, numHeads: number): tf.Tensor4D[] {
  const [n, t, width] = x.shape;
  return tf.tidy(() => {
    const split = tf.reshape(x, [n, t, parts, numHeads, width / (parts * numHeads)]);
    return tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4])) as tf.Tensor4D[]; // [parts,N,h,T,d]
  });
}

/** [N,T,D] → [N,h,T,d]; a single head is not copied. */
export function splitHeads(x: tf.Tensor3D, numHeads: number): tf.Tensor4D {
  const [n, t, width] = x.shape;
  if (numHeads === 1) return tf.reshape(x, [n, 1, t, width]);
  return tf.tidy(() => tf.transpose(tf.reshape(x, [n, t, numHeads, width / numHeads]), [0, 2, 1, 3]) as tf.Tensor4D);
}

/** [N,h,T,d] → [N,T,D]. */
export function joinHeads(heads: tf.Tensor4D): tf.Tensor3D {
  const [n, h, t, d] = heads.shape;
  if (h === 1) return tf.reshape(heads, [n, t, d]);
  return tf.tidy(() => tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [n, t, h * d]));
}
