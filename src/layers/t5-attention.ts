import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { relativeAttention } from '../ops/relative-attention.ts';
import { Composite } from './composite.ts';
import { Linear } from './linear.ts';

export interface T5AttentionConfig {
  readonly hiddenSize: number;
  readonly numHeads: number;
  /** Features of a head; `numHeads` of them may be more or less than `hiddenSize`. */
  readonly headDim: number;
}

/** Multi-head self-attention with a bias by relative position, and none in its linears (modeling_t5.py T5Attention). */
export class T5Attention extends Composite {
  static readonly className = 'T5Attention';
  private readonly q: Linear;
  private readonly k: Linear;
  private readonly v: Linear;
  private readonly o: Linear;

  constructor(
    private readonly sizes: T5AttentionConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, numHeads, headDim } = sizes;
    const linear = (name: string, inFeatures: number, outFeatures: number) =>
      this.child(name, new Linear({ inFeatures, outFeatures, useBias: false }, stored?.at(name)));
    this.q = linear('q', hiddenSize, numHeads * headDim);
    this.k = linear('k', hiddenSize, numHeads * headDim);
    this.v = linear('v', hiddenSize, numHeads * headDim);
    this.o = linear('o', numHeads * headDim, hiddenSize);
  }

  /** @param inputs [x [N,L,D], bias [1,h,L,L], mask [N,1,1,L]] @returns [N,L,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const [x, bias, mask] = inputs as [tf.Tensor3D, tf.Tensor4D, tf.Tensor4D];
    return tf.tidy(() => {
      const heads = relativeAttention(this.q.call(x), this.k.call(x), this.v.call(x), bias, mask); // [N,L,h·d]
      return this.o.call(heads); // [N,L,D]
    });
  }

  override computeOutputShape(inputShape: (number | null)[][]): (number | null)[] {
    return inputShape[0] ?? [];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(T5Attention as unknown as serialization.SerializableConstructor<T5Attention>);
