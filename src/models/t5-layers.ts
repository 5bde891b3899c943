/**
 * The parts of the encoder of T5 v1.1 (arXiv 1910.10683 and 2002.05202), after transformers' modeling_t5.py.
 * Letters: N prompts, L tokens, D hidden size, h heads, V words.
 */
import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { Composite } from '../layers/composite.ts';
import { RmsNorm } from '../layers/rms-norm.ts';
import { T5Attention } from '../layers/t5-attention.ts';
import { RelativeAttentionBias, TokenEmbedding } from '../layers/t5-embeddings.ts';
import { T5FeedForward } from '../layers/t5-feed-forward.ts';
import { single } from '../layers/tensors.ts';
import type { ModelPart } from './build.ts';
import type { T5EncoderConfig } from './t5-config.ts';

/** The first half of a layer: x + attention(RMS(x)). */
export class T5SelfAttentionLayer extends Composite {
  static readonly className = 'T5SelfAttentionLayer';
  private readonly attention: T5Attention;
  private readonly norm: RmsNorm;

  constructor(
    private readonly config: T5EncoderConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, numHeads, headDim, normEps } = config;
    const attention = new T5Attention({ hiddenSize, numHeads, headDim }, stored?.at('SelfAttention'));
    const norm = new RmsNorm({ features: hiddenSize, eps: normEps }, stored?.at('layer_norm'));
    this.attention = this.child('SelfAttention', attention);
    this.norm = this.child('layer_norm', norm);
  }

  /** @param inputs [x [N,L,D], bias [1,h,L,L], mask [N,1,1,L]] @returns [N,L,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const [x, bias, mask] = inputs as [tf.Tensor3D, tf.Tensor4D, tf.Tensor4D];
    return tf.tidy(() => tf.add(x, this.attention.call([this.norm.call(x), bias, mask])));
  }

  override computeOutputShape(inputShape: (number | null)[][]): (number | null)[] {
    return inputShape[0] ?? [];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config };
  }
}
serialization.registerClass(
  T5SelfAttentionLayer as unknown as serialization.SerializableConstructor<T5SelfAttentionLayer>,
);

/** The second half of a layer: x + feedForward(RMS(x)). */
export class T5FeedForwardLayer extends Composite {
  static readonly className = 'T5FeedForwardLayer';
  private readonly feedForward: T5FeedForward;
  private readonly norm: RmsNorm;

  constructor(
    private readonly config: T5EncoderConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, feedForwardSize, normEps } = config;
    const feedForward = new T5FeedForward({ hiddenSize, feedForwardSize }, stored?.at('DenseReluDense'));
    const norm = new RmsNorm({ features: hiddenSize, eps: normEps }, stored?.at('layer_norm'));
    this.feedForward = this.child('DenseReluDense', feedForward);
    this.norm = this.child('layer_norm', norm);
  }

  /** @param inputs [N,L,D] @returns [N,L,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const x = single<tf.Tensor3D>(inputs);
    return tf.tidy(() => tf.add(x, this.feedForward.call(this.norm.call(x))));
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config };
  }
}
serialization.registerClass(T5FeedForwardLayer as unknown as serialization.SerializableConstructor<T5FeedForwardLayer>);

export interface T5Part<L extends ModelPart['layer']> extends ModelPart {
  readonly layer: L;
}

/** An encoder in the pieces in which it is read from disk. */
export interface T5Parts {
  /** [V,D]: the token embeddings, which T5's decoder shares. */
  readonly shared: T5Part<TokenEmbedding>;
  /** Stored with the first layer, used by all. */
  readonly relativeBias: T5Part<RelativeAttentionBias>;
  readonly layers: readonly {
    readonly attention: T5Part<T5SelfAttentionLayer>;
    readonly feedForward: T5Part<T5FeedForwardLayer>;
  }[];
  readonly finalNorm: T5Part<RmsNorm>;
}

/** The parts of `config` at their paths in a checkpoint; none is built. */
export function t5Parts(config: T5EncoderConfig, stored?: WeightScope): T5Parts {
  const { vocabSize, hiddenSize, depth, numHeads, numBuckets, maxDistance, normEps } = config;
  const part = <L extends ModelPart['layer']>(path: string, make: (stored?: WeightScope) => L): T5Part<L> => ({
    path,
    layer: make(stored?.at(path)),
  });
  return {
    shared: part('shared', (at) => new TokenEmbedding({ vocabSize, hiddenSize }, at)),
    relativeBias: part(
      'encoder.block.0.layer.0.SelfAttention.relative_attention_bias',
      (at) => new RelativeAttentionBias({ numBuckets, maxDistance, numHeads }, at),
    ),
    layers: Array.from({ length: depth }, (_, i) => ({
      attention: part(`encoder.block.${i}.layer.0`, (at) => new T5SelfAttentionLayer(config, at)),
      feedForward: part(`encoder.block.${i}.layer.1`, (at) => new T5FeedForwardLayer(config, at)),
    })),
    finalNorm: part('encoder.final_layer_norm', (at) => new RmsNorm({ features: hiddenSize, eps: normEps }, at)),
  };
}

/** In the order in which they are needed. */
export function listT5Parts({ shared, relativeBias, layers, finalNorm }: T5Parts): readonly ModelPart[] {
  return [shared, relativeBias, ...layers.flatMap(({ attention, feedForward }) => [attention, feedForward]), finalNorm];
}
