/** Single layers on activations in bands of rows; beside each stands what a band's tensors take while it is in work. */
import * as tf from '@tensorflow/tfjs-core';
import type { Conv2d } from '../layers/conv2d.ts';
import type { GroupNorm } from '../layers/group-norm.ts';
import type { UpsampleConv2d } from '../layers/upsample-conv2d.ts';
import type { GroupMoments } from '../ops/group-norm.ts';
import type { RowBands, RowTiling } from './row-bands.ts';

/** Rows of neighbours that a 3×3 kernel sees above and below. */
export const HALO = 1;

/**
 * What a norm, SiLU, convolution and sum take at a position of a band: at the norm, the input as read and the norm's own
 * three; at the sum, input, normed, convolved, the skip and the sum.
 */
export function normConvFloats(inChannels: number, outChannels: number): number {
  return Math.max(4 * inChannels, 2 * inChannels + 3 * outChannels);
}

/** A convolution of 3×3; of its output there are two where a backend adds the bias apart. @param x used up */
export async function convInBands(conv: Conv2d, x: RowBands, tiling: RowTiling): Promise<RowBands> {
  const out = tiling.bands();
  const floatsPerPosition = Math.max(2 * conv.inChannels, conv.inChannels + 2 * conv.outChannels);
  await tiling.eachBand(x, { floatsPerPosition, halo: HALO }, (rows) => {
    out.push(tf.tidy(() => conv.callBand(x.rows(rows, HALO), rows)));
    x.freeBefore(rows, HALO);
  });
  return out;
}

/** A GroupNorm over the whole activation. @param x used up */
export async function normInBands(norm: GroupNorm, x: RowBands, tiling: RowTiling): Promise<RowBands> {
  const out = tiling.bands();
  await withMoments(norm, x, (moments) =>
    tiling.eachBand(x, { floatsPerPosition: 4 * norm.channels }, (rows) => {
      out.push(tf.tidy(() => norm.callBand(x.rows(rows), moments)));
      x.freeBefore(rows);
    }),
  );
  return out;
}

/**
 * Upsampling and its convolution; at a position of x, that as read and without a neighbour's row, and twice the output.
 * @param x used up
 */
export async function upsampleInBands(upsample: UpsampleConv2d, x: RowBands, tiling: RowTiling): Promise<RowBands> {
  const out = tiling.bands();
  const floatsPerPosition = 2 * upsample.inChannels + 8 * upsample.outChannels;
  await tiling.eachBand(x, { floatsPerPosition, halo: HALO }, (rows) => {
    out.push(tf.tidy(() => upsample.callBand(x.rows(rows, HALO), rows)));
    x.freeBefore(rows, HALO);
  });
  return out;
}

/** Lends the statistics that `norm` takes of the whole activation. */
export async function withMoments<T>(
  norm: GroupNorm,
  x: RowBands,
  use: (moments: GroupMoments) => Promise<T>,
): Promise<T> {
  const moments = x.groupMoments(norm.numGroups);
  try {
    return await use(moments);
  } finally {
    tf.dispose([moments.mean, moments.variance]);
  }
}
