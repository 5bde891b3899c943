import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import type { BandEdges } from './conv2d.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { outputShape, single } from './tensors.ts';

export interface UpsampleConv2dConfig {
  readonly inChannels: number;
  readonly outChannels: number;
}

/** Of the rows, or the columns, of the output: 0 for even ones, 1 for odd ones. */
type Phase = 0 | 1;

/**
 * Nearest neighbour ×2, then a 3×3 convolution of stride 1 and zero padding (diffusers Upsample2D). `kernel` as of Conv2d.
 *
 * Two of a kernel's three rows see the same row of x, so that they can be added up before: each of the four phases of the
 * output, even or odd rows and columns, is a 2×2 convolution of x. These are 4/9 of the products, and the doubled x is
 * never made.
 */
export class UpsampleConv2d extends ParameterLayer {
  static readonly className = 'Upsample2D';

  constructor(
    private readonly sizes: UpsampleConv2dConfig,
    stored?: WeightScope,
  ) {
    const { inChannels, outChannels } = sizes;
    super({ ...sizes }, { kernel: [3, 3, inChannels, outChannels], bias: [outChannels] }, stored);
  }

  /** @param inputs [N,H,W,C] @returns [N,2H,2W,C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    return this.callBand(single<tf.Tensor4D>(inputs), { above: true, below: true });
  }

  /**
   * The same of a band of rows, exact up to its borders.
   * @param x [N,rows,W,C] with a neighbour's row above and below, but at edges of the image
   * @returns [N,2·rows',W·2,C'] without
   */
  callBand(x: tf.Tensor4D, edges: BandEdges): tf.Tensor4D {
    return tf.tidy(() => {
      const [even, odd] = [this.rowsOfPhase(x, 0, edges), this.rowsOfPhase(x, 1, edges)]; // [N,rows',2W,C']
      return interleave(even, odd, 1);
    });
  }

  private rowsOfPhase(x: tf.Tensor4D, phase: Phase, { above, below }: BandEdges): tf.Tensor4D {
    return tf.tidy(() => {
      const kernel = this.parameter<tf.Tensor4D>('kernel');
      const bias = this.parameter('bias');
      // even rows see their neighbour above, odd ones the one below; columns to the left and to the right
      const seen = phase === 0 ? withoutRow(x, !below, 'last') : withoutRow(x, !above, 'first');
      const rows: [number, number] = phase === 0 ? [Number(above), 0] : [0, Number(below)];
      const columns = ([0, 1] as const).map((column) =>
        tf.tidy(() => {
          const filter = phaseKernel(kernel, phase, column);
          const pad = [[0, 0], rows, column === 0 ? [1, 0] : [0, 1], [0, 0]] as tf.backend_util.ExplicitPadding;
          return tf.fused.conv2d({ x: seen, filter, bias, strides: 1, pad });
        }),
      ) as [tf.Tensor4D, tf.Tensor4D];
      return interleave(...columns, 2);
    });
  }

  get inChannels(): number {
    return this.sizes.inChannels;
  }

  get outChannels(): number {
    return this.sizes.outChannels;
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    const [n = null, height, width] = outputShape(inputShape, this.sizes.outChannels);
    const twice = (size: number | null | undefined) => (size == null ? null : 2 * size);
    return [n, twice(height), twice(width), this.sizes.outChannels];
  }
}
serialization.registerClass(UpsampleConv2d);

/** Which of a kernel's three rows, or columns, see the same neighbour: they become one of two. */
const SEEN_TOGETHER = [
  [
    [1, 0, 0],
    [0, 1, 1],
  ],
  [
    [1, 1, 0],
    [0, 0, 1],
  ],
] as const;

/** @param kernel [3,3,C,C'] @returns the sums of its rows and columns that a phase sees together, [2,2,C,C'] */
function phaseKernel(kernel: tf.Tensor4D, row: Phase, column: Phase): tf.Tensor4D {
  const [, , inChannels, outChannels] = kernel.shape;
  const sums = SEEN_TOGETHER[row].flatMap((rows) =>
    SEEN_TOGETHER[column].map((columns) => rows.flatMap((inRow) => columns.map((inColumn) => inRow * inColumn))),
  ); // [2·2, 3·3]
  return tf.tidy(() => {
    const positions = tf.reshape(kernel, [9, inChannels * outChannels]) as tf.Tensor2D;
    return tf.reshape(tf.matMul(tf.tensor2d(sums), positions), [2, 2, inChannels, outChannels]);
  });
}

function withoutRow(x: tf.Tensor4D, isThere: boolean, which: 'first' | 'last'): tf.Tensor4D {
  if (!isThere) return x;
  return tf.slice(x, [0, which === 'first' ? 1 : 0, 0, 0], [-1, x.shape[1] - 1, -1, -1]);
}

/** Rows (axis 1) or columns (axis 2) of both in turn, each twice as many. */
function interleave(even: tf.Tensor4D, odd: tf.Tensor4D, axis: 1 | 2): tf.Tensor4D {
  const [n, height, width, channels] = even.shape;
  const shape: [number, number, number, number] =
    axis === 1 ? [n, 2 * height, width, channels] : [n, height, 2 * width, channels];
  return tf.tidy(() => tf.reshape(tf.stack([even, odd], axis + 1), shape));
}
