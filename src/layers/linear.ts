import type * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { type LinearWeights, linear, linearGelu } from '../ops/linear.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { outputShape, single } from './tensors.ts';

export interface LinearConfig {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Default true. */
  readonly useBias?: boolean;
}

/** x·kernel + bias. `kernel` [in,out] is PyTorch's `weight` transposed; `bias` [out], where it has one. */
export class Linear extends ParameterLayer {
  static readonly className = 'Linear';

  constructor(
    private readonly sizes: LinearConfig,
    stored?: WeightScope,
  ) {
    const { inFeatures, outFeatures, useBias = true } = sizes;
    super(
      { ...sizes },
      { kernel: [inFeatures, outFeatures], ...(useBias && { bias: [outFeatures] }) },
      stored,
      'kernel',
    );
  }

  /** What the ops take, borrowed. */
  get operands(): LinearWeights {
    const { useBias = true } = this.sizes;
    const bias = useBias ? this.parameter<tf.Tensor1D>('bias') : undefined;
    return { kernel: this.parameter('kernel'), bias, dtype: this.dtypeOf('kernel') };
  }

  /** @param inputs [..., in] @returns [..., out] */
  override call<T extends tf.Tensor>(inputs: T | tf.Tensor[]): T {
    return linear(single<T>(inputs), this.operands);
  }

  /** `call`, then GELU, tanh approximation. */
  callGelu<T extends tf.Tensor>(x: T): T {
    return linearGelu(x, this.operands);
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return outputShape(inputShape, this.sizes.outFeatures);
  }
}
serialization.registerClass(Linear);
