import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { OptionError } from '../errors.ts';
import { selfAttention } from '../ops/attention.ts';
import { Composite } from './composite.ts';
import type { BranchHooks } from './hooks.ts';
import { hookedLinear } from './hooks.ts';
import { Linear } from './linear.ts';
import { single } from './tensors.ts';

export interface SelfAttentionConfig {
  readonly hiddenSize: number;
  readonly numHeads: number;
}

/** Multi-head self-attention with one fused projection (timm Attention, qkv_bias, no q/k norm). */
export class SelfAttention extends Composite {
  static readonly className = 'SelfAttention';
  private readonly qkv: Linear;
  private readonly proj: Linear;

  constructor(
    private readonly sizes: SelfAttentionConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, numHeads } = sizes;
    if (hiddenSize % numHeads !== 0) {
      throw new OptionError(
        `numHeads: ${hiddenSize} features cannot be split over ${numHeads} heads; give a divisor of ${hiddenSize}`,
      );
    }
    this.qkv = this.child(
      'qkv',
      new Linear({ inFeatures: hiddenSize, outFeatures: 3 * hiddenSize }, stored?.at('qkv')),
    );
    this.proj = this.child('proj', new Linear({ inFeatures: hiddenSize, outFeatures: hiddenSize }, stored?.at('proj')));
  }

  /** @param inputs [N,T,D] @returns [N,T,D] */
  override call(inputs: tf.Tensor | tf.Tensor[], hooks: BranchHooks = {}): tf.Tensor3D {
    return tf.tidy(() => {
      const qkv = hookedLinear(hooks, 'qkv', this.qkv, single<tf.Tensor3D>(inputs)); // [N,T,3·D]
      const attend = () => selfAttention(qkv, this.sizes.numHeads); // [N,T,D]
      const heads = hooks.attention ? hooks.attention(qkv, attend) : attend();
      return hookedLinear(hooks, 'proj', this.proj, heads); // [N,T,D]
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(SelfAttention);
