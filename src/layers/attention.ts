import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { OptionError } from '../errors.ts';
import { crossAttention, selfAttention } from '../ops/attention.ts';
import type { LinearWeights } from '../ops/linear.ts';
import { type BranchOptions, firstLinear, lastLinear } from './branch-ends.ts';
import { Composite } from './composite.ts';
import { hookedLinear } from './hooks.ts';
import { Linear } from './linear.ts';
import { single } from './tensors.ts';

export interface AttentionConfig {
  readonly hiddenSize: number;
  /** A divisor of `hiddenSize`. */
  readonly numHeads: number;
}

/** Multi-head self-attention with one fused projection (timm Attention, qkv_bias, no q/k norm). */
export class SelfAttention extends Composite {
  static readonly className = 'SelfAttention';
  private readonly qkv: Linear;
  private readonly proj: Linear;

  constructor(
    private readonly sizes: AttentionConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize } = sizes;
    checkHeads(sizes);
    this.qkv = this.child(
      'qkv',
      new Linear({ inFeatures: hiddenSize, outFeatures: 3 * hiddenSize }, stored?.at('qkv')),
    );
    this.proj = this.child('proj', new Linear({ inFeatures: hiddenSize, outFeatures: hiddenSize }, stored?.at('proj')));
  }

  /** What the ops take, borrowed. */
  get operands(): { readonly qkv: LinearWeights; readonly proj: LinearWeights } {
    return { qkv: this.qkv.operands, proj: this.proj.operands };
  }

  /** @param inputs [N,T,D] @returns [N,T,D] */
  override call(inputs: tf.Tensor | tf.Tensor[], options: BranchOptions = {}): tf.Tensor3D {
    return tf.tidy(() => {
      const qkv = firstLinear(options, 'qkv', this.qkv, single<tf.Tensor3D>(inputs)); // [N,T,3·D]
      const attend = () => selfAttention(qkv, this.sizes.numHeads); // [N,T,D]
      const heads = options.attention ? options.attention(qkv, attend) : attend();
      return lastLinear(options, 'proj', this.proj, heads); // [N,T,D]
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

/** Multi-head attention of tokens to a caption (PixArt_blocks.py MultiHeadCrossAttention), keys and values fused. */
export class CrossAttention extends Composite {
  static readonly className = 'CrossAttention';
  private readonly qLinear: Linear;
  private readonly kvLinear: Linear;
  private readonly proj: Linear;

  constructor(
    private readonly sizes: AttentionConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize } = sizes;
    checkHeads(sizes);
    const linear = (name: string, outFeatures: number) =>
      this.child(name, new Linear({ inFeatures: hiddenSize, outFeatures }, stored?.at(name)));
    this.qLinear = linear('q_linear', hiddenSize);
    this.kvLinear = linear('kv_linear', 2 * hiddenSize);
    this.proj = linear('proj', hiddenSize);
  }

  /** What the ops take, borrowed. */
  get operands(): { readonly q: LinearWeights; readonly kv: LinearWeights; readonly proj: LinearWeights } {
    return { q: this.qLinear.operands, kv: this.kvLinear.operands, proj: this.proj.operands };
  }

  /**
   * @param inputs [x [N,T,D], y [N,L,D]], and a bias [N,1,1,L] where some of y is masked (see `keyBias`)
   * @returns [N,T,D]
   */
  override call(inputs: tf.Tensor | tf.Tensor[], options: BranchOptions = {}): tf.Tensor3D {
    const [x, y, bias] = inputs as [tf.Tensor3D, tf.Tensor3D, tf.Tensor4D?];
    return tf.tidy(() => {
      const q = firstLinear(options, 'q_linear', this.qLinear, x); // [N,T,D]
      const attend = () => {
        const kv = hookedLinear(options, 'kv_linear', this.kvLinear, y); // [N,L,2·D]
        return crossAttention(q, kv, this.sizes.numHeads, { bias }); // [N,T,D]
      };
      const heads = options.attention ? options.attention(q, attend) : attend();
      return lastLinear(options, 'proj', this.proj, heads); // [N,T,D]
    });
  }

  override computeOutputShape(inputShape: (number | null)[][]): (number | null)[] {
    return inputShape[0] ?? [];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(CrossAttention as unknown as serialization.SerializableConstructor<CrossAttention>);

function checkHeads({ hiddenSize, numHeads }: AttentionConfig): void {
  if (hiddenSize % numHeads === 0) return;
  throw new OptionError(
    `numHeads: ${hiddenSize} features cannot be split over ${numHeads} heads; give a divisor of ${hiddenSize}`,
  );
}
