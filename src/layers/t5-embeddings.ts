import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { type RelativeBuckets, relativeBuckets } from '../ops/relative-attention.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { single } from './tensors.ts';

export interface TokenEmbeddingConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
}

/** Token ids to rows of `weight` [V,D], neither scaled nor given positions. */
export class TokenEmbedding extends ParameterLayer {
  static readonly className = 'TokenEmbedding';

  constructor(
    private readonly sizes: TokenEmbeddingConfig,
    stored?: WeightScope,
  ) {
    super({ ...sizes }, { weight: [sizes.vocabSize, sizes.hiddenSize] }, stored, 'weight');
  }

  /** @param inputs [N,L] int32 @returns [N,L,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    return this.rows<tf.Tensor3D>('weight', single<tf.Tensor2D>(inputs));
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return [...inputShape, this.sizes.hiddenSize];
  }
}
serialization.registerClass(TokenEmbedding);

export interface RelativeAttentionBiasConfig extends RelativeBuckets {
  readonly numHeads: number;
}

/** What each head adds to the score of a query and a key, by how far they lie apart: `weight` [buckets,h]. */
export class RelativeAttentionBias extends ParameterLayer {
  static readonly className = 'RelativeAttentionBias';

  constructor(
    private readonly sizes: RelativeAttentionBiasConfig,
    stored?: WeightScope,
  ) {
    super({ ...sizes }, { weight: [sizes.numBuckets, sizes.numHeads] }, stored);
  }

  /** @returns [1,h,L,L] for `length` tokens */
  ofLength(length: number): tf.Tensor4D {
    return tf.tidy(() => this.call(relativeBuckets(length, this.sizes)));
  }

  /** @param inputs buckets [L,L] int32 @returns [1,h,L,L] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    return tf.tidy(() => {
      const biases = tf.gather(this.parameter('weight'), single<tf.Tensor2D>(inputs)); // [L,L,h]
      return tf.expandDims(tf.transpose(biases, [2, 0, 1]), 0) as tf.Tensor4D;
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return [1, this.sizes.numHeads, ...inputShape];
  }
}
serialization.registerClass(RelativeAttentionBias);
