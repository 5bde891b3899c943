import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { outputShape, single } from './tensors.ts';

export interface Conv2dConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  /** 1 or 3; the output has the size of the input. */
  readonly kernelSize: 1 | 3;
}

/** Which edges of its image a band of rows has; where it has none, its first or last row is a neighbour's. */
export interface BandEdges {
  readonly above: boolean;
  readonly below: boolean;
}

/** Stride 1, zero-padded to the same size. `kernel` is HWIO, PyTorch's OIHW `weight` transposed. */
export class Conv2d extends ParameterLayer {
  static readonly className = 'Conv2dSame';

  constructor(
    private readonly sizes: Conv2dConfig,
    stored?: WeightScope,
  ) {
    const { kernelSize: k, inChannels, outChannels } = sizes;
    super({ ...sizes }, { kernel: [k, k, inChannels, outChannels], bias: [outChannels] }, stored, 'kernel');
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    return this.convolve(single<tf.Tensor4D>(inputs), 'same');
  }

  /**
   * The convolution of a band of rows, exact up to its borders: a 3×3 kernel takes a neighbour's row above and below, of
   * which it makes none itself, and zeros only at edges of the image.
   * @param x [N,rows,W,C] with the neighbours' rows @returns [N,rows',W,C'] without
   */
  callBand(x: tf.Tensor4D, { above, below }: BandEdges): tf.Tensor4D {
    const border = (this.sizes.kernelSize - 1) / 2;
    const rows: [number, number] = [above ? border : 0, below ? border : 0];
    return this.convolve(x, [[0, 0], rows, [border, border], [0, 0]]);
  }

  private convolve(x: tf.Tensor4D, pad: 'same' | tf.backend_util.ExplicitPadding): tf.Tensor4D {
    const bias = this.parameter<tf.Tensor1D>('bias');
    return this.inFloat32('kernel', (filter: tf.Tensor4D) => tf.fused.conv2d({ x, filter, bias, strides: 1, pad }));
  }

  get inChannels(): number {
    return this.sizes.inChannels;
  }

  get outChannels(): number {
    return this.sizes.outChannels;
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return outputShape(inputShape, this.sizes.outChannels);
  }
}
serialization.registerClass(Conv2d);

export interface Downsample2dConfig {
  readonly inChannels: number;
  readonly outChannels: number;
}

/** One row below and one column to the right, whatever the size; 'same' would add a row above to an odd height. */
const BELOW_AND_RIGHT: tf.backend_util.ExplicitPadding = [
  [0, 0],
  [0, 1],
  [0, 1],
  [0, 0],
];

/** 3×3 convolution of stride 2 (diffusers Downsample2D with `padding=0`). `kernel` as of Conv2d. */
export class Downsample2d extends ParameterLayer {
  static readonly className = 'Downsample2D';

  constructor(
    private readonly sizes: Downsample2dConfig,
    stored?: WeightScope,
  ) {
    const { inChannels, outChannels } = sizes;
    super({ ...sizes }, { kernel: [3, 3, inChannels, outChannels], bias: [outChannels] }, stored, 'kernel');
  }

  /** @param inputs [N,H,W,C], H and W at least 2 @returns [N,⌊H/2⌋,⌊W/2⌋,C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const x = single<tf.Tensor4D>(inputs);
    const bias = this.parameter<tf.Tensor1D>('bias');
    return this.inFloat32('kernel', (filter: tf.Tensor4D) =>
      tf.fused.conv2d({ x, filter, bias, strides: 2, pad: BELOW_AND_RIGHT }),
    );
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    const [n = null, height, width] = inputShape;
    const half = (size: number | null | undefined) => (size == null ? null : Math.floor(size / 2));
    return [n, half(height), half(width), this.sizes.outChannels];
  }
}
serialization.registerClass(Downsample2d);
