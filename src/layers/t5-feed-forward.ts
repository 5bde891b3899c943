import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { geluTanh } from '../ops/activations.ts';
import { Composite } from './composite.ts';
import { Linear } from './linear.ts';
import { single } from './tensors.ts';

export interface T5FeedForwardConfig {
  readonly hiddenSize: number;
  readonly feedForwardSize: number;
}

/** wo(GELU(wi_0·x) ⊙ wi_1·x), GELU by its tanh approximation ("gated-gelu", modeling_t5.py T5DenseGatedActDense). */
export class T5FeedForward extends Composite {
  static readonly className = 'T5FeedForward';
  private readonly gate: Linear;
  private readonly up: Linear;
  private readonly down: Linear;

  constructor(
    private readonly sizes: T5FeedForwardConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, feedForwardSize } = sizes;
    const linear = (name: string, inFeatures: number, outFeatures: number) =>
      this.child(name, new Linear({ inFeatures, outFeatures, useBias: false }, stored?.at(name)));
    this.gate = linear('wi_0', hiddenSize, feedForwardSize);
    this.up = linear('wi_1', hiddenSize, feedForwardSize);
    this.down = linear('wo', feedForwardSize, hiddenSize);
  }

  /** @param inputs [N,L,D] @returns [N,L,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const x = single<tf.Tensor3D>(inputs);
    return tf.tidy(() => this.down.call(tf.mul(geluTanh(this.gate.call(x)), this.up.call(x)) as tf.Tensor3D));
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(T5FeedForward);
