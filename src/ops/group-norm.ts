import * as tf from '@tensorflow/tfjs-core';
import { silu } from './activations.ts';
import { runFused } from './fused.ts';

/** Statistics of each sample's channel groups, over `count` values each. */
export interface GroupMoments {
  /** [N,1,G,1] */
  readonly mean: tf.Tensor4D;
  /** Of the population, [N,1,G,1]. */
  readonly variance: tf.Tensor4D;
  readonly count: number;
}

/** What a GroupNorm does after its statistics: `weight` and `bias` [C]. */
export interface GroupNormParameters {
  readonly weight: tf.Tensor1D;
  readonly bias: tf.Tensor1D;
  readonly eps: number;
}

/**
 * GroupNorm over contiguous channel groups: statistics jointly over H, W and the channels of a group.
 * @param x [N,H,W,C]
 * @param weight [C]
 * @param bias [C]
 * @returns [N,H,W,C]
 */
export function groupNorm(
  x: tf.Tensor4D,
  numGroups: number,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D,
  eps: number,
): tf.Tensor4D {
  return tf.tidy(() => normaliseGroups(x, groupMoments(x, numGroups), { weight, bias, eps }));
}

/** GroupNorm, then SiLU. Shapes as of groupNorm. */
export function groupNormSilu(
  x: tf.Tensor4D,
  numGroups: number,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D,
  eps: number,
): tf.Tensor4D {
  return tf.tidy(() => normaliseGroupsSilu(x, groupMoments(x, numGroups), { weight, bias, eps }));
}

/**
 * The statistics that a GroupNorm takes of `x` [N,H,W,C]; the caller disposes both tensors. A seat that a backend may
 * fuse, as are the two that use the statistics; no gradients then.
 */
export function groupMoments(x: tf.Tensor4D, numGroups: number): GroupMoments {
  const [, height, width, channels] = x.shape;
  const count = (height * width * channels) / numGroups;
  const fused = runFused<[tf.Tensor4D, tf.Tensor4D]>('DeltaDitGroupMoments', { x }, { numGroups });
  if (fused) return { mean: fused[0], variance: fused[1], count };
  const { mean, variance } = tf.tidy(() => {
    const mean = groupMean(x, numGroups);
    return { mean, variance: groupMean(tf.square(tf.sub(x, perChannel(mean, channels))), numGroups) };
  });
  return { mean, variance, count };
}

/**
 * Along rows, then across them, then within groups: backends add up one after the other, and in a single sum over a
 * million values of a picture float32 keeps no more than three digits.
 * @param x [N,H,W,C] @returns [N,1,G,1]
 */
function groupMean(x: tf.Tensor4D, numGroups: number): tf.Tensor4D {
  const [n, , , channels] = x.shape;
  const ofChannels = tf.mean(tf.mean(x, 2), 1); // [N,C]
  return tf.mean(tf.reshape(ofChannels, [n, 1, numGroups, channels / numGroups]), 3, true);
}

/** [N,1,G,1] → [N,1,1,C] */
function perChannel(ofGroups: tf.Tensor4D, channels: number): tf.Tensor4D {
  const [n, , numGroups] = ofGroups.shape;
  return tf.reshape(tf.tile(ofGroups, [1, 1, 1, channels / numGroups]), [n, 1, 1, channels]);
}

/**
 * The statistics of the whole from those of its parts. Deviations stay taken from means, of a part or of the whole, so
 * that nothing cancels in float32 (Chan, Golub & LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing
 * Sample Variances", eq. 2.1).
 * @param parts borrowed @returns statistics of their own, which the caller disposes
 */
export function mergeGroupMoments(parts: readonly GroupMoments[]): GroupMoments {
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const weighted = (term: tf.Tensor4D, i: number): tf.Tensor4D => tf.mul(term, (parts[i]?.count ?? 0) / count);
  // not addN: a GPU's op takes a few tensors at once, and tfjs gives it all of them
  const average = (terms: readonly tf.Tensor4D[]) => terms.map(weighted).reduce((sum, term) => tf.add(sum, term));
  const { mean, variance } = tf.tidy(() => {
    const mean = average(parts.map((part) => part.mean));
    const spread = parts.map((part) => tf.add(part.variance, tf.square(tf.sub(part.mean, mean))) as tf.Tensor4D);
    return { mean, variance: average(spread) };
  });
  return { mean, variance, count };
}

/**
 * (x − mean) ÷ √(variance + eps) · weight + bias, by statistics that need not be those of `x` alone.
 * @param x [N,H,W,C] @param moments borrowed @returns [N,H,W,C]
 */
export function normaliseGroups(
  x: tf.Tensor4D,
  { mean, variance }: Pick<GroupMoments, 'mean' | 'variance'>,
  { weight, bias, eps }: GroupNormParameters,
): tf.Tensor4D {
  const channels = x.shape[3];
  const fused = fusedNormalisation(x, { mean, variance }, { weight, bias, eps }, false);
  if (fused) return fused;
  return tf.tidy(() => {
    const scale = tf.mul(perChannel(tf.rsqrt(tf.add(variance, eps)), channels), weight); // [N,1,1,C]
    return tf.add(tf.mul(tf.sub(x, perChannel(mean, channels)), scale), bias) as tf.Tensor4D;
  });
}

/** normaliseGroups, then SiLU. */
export function normaliseGroupsSilu(
  x: tf.Tensor4D,
  moments: Pick<GroupMoments, 'mean' | 'variance'>,
  parameters: GroupNormParameters,
): tf.Tensor4D {
  const fused = fusedNormalisation(x, moments, parameters, true);
  return fused ?? tf.tidy(() => silu(normaliseGroups(x, moments, parameters)));
}

function fusedNormalisation(
  x: tf.Tensor4D,
  { mean, variance }: Pick<GroupMoments, 'mean' | 'variance'>,
  { weight, bias, eps }: GroupNormParameters,
  silu: boolean,
): tf.Tensor4D | undefined {
  return runFused<tf.Tensor4D>('DeltaDitNormaliseGroups', { x, mean, variance, weight, bias }, { eps, silu });
}
