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

/** Stride 1, zero-padded to the same size. `kernel` is HWIO, PyTorch's OIHW `weight` transposed. */
export class Conv2d extends ParameterLayer {
  static readonly className = 'Conv2dSame';

  constructor(
    private readonly sizes: Conv2dConfig,
    stored?: WeightScope,
  ) {
    const { kernelSize: k, inChannels, outChannels } = sizes;
    super({ ...sizes }, { kernel: [k, k, inChannels, outChannels], bias: [outChannels] }, stored);
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const x = single<tf.Tensor4D>(inputs);
    return tf.fused.conv2d({
      x,
      filter: this.parameter('kernel'),
      bias: this.parameter('bias'),
      strides: 1,
      pad: 'same',
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return outputShape(inputShape, this.sizes.outChannels);
  }
}
serialization.registerClass(Conv2d);
