import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import type { LinearWeights } from '../ops/linear.ts';
import { type BranchOptions, firstLinearGelu, lastLinear } from './branch-ends.ts';
import { Composite } from './composite.ts';
import { Linear } from './linear.ts';
import { single } from './tensors.ts';

export interface MlpConfig {
  readonly hiddenSize: number;
  readonly mlpRatio: number;
}

/** Linear, GELU (tanh approximation), linear (timm Mlp as DiT uses it). */
export class Mlp extends Composite {
  static readonly className = 'Mlp';
  private readonly fc1: Linear;
  private readonly fc2: Linear;

  constructor(
    private readonly sizes: MlpConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize } = sizes;
    const inner = hiddenSize * sizes.mlpRatio;
    this.fc1 = this.child('fc1', new Linear({ inFeatures: hiddenSize, outFeatures: inner }, stored?.at('fc1')));
    this.fc2 = this.child('fc2', new Linear({ inFeatures: inner, outFeatures: hiddenSize }, stored?.at('fc2')));
  }

  /** What the ops take, borrowed. */
  get operands(): { readonly fc1: LinearWeights; readonly fc2: LinearWeights } {
    return { fc1: this.fc1.operands, fc2: this.fc2.operands };
  }

  /** @param inputs [N,T,D] @returns [N,T,D] */
  override call(inputs: tf.Tensor | tf.Tensor[], options: BranchOptions = {}): tf.Tensor3D {
    return tf.tidy(() => {
      const x = single<tf.Tensor3D>(inputs);
      const inner = firstLinearGelu(options, 'fc1', this.fc1, x); // [N,T,4·D]
      return lastLinear(options, 'fc2', this.fc2, inner); // [N,T,D]
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(Mlp);
