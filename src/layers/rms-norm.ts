import type * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { single } from './tensors.ts';

export interface RmsNormConfig {
  readonly features: number;
  readonly eps: number;
}

/** RMSNorm over the last axis with `weight` [D] and no bias (T5LayerNorm of transformers). */
export class RmsNorm extends ParameterLayer {
  static readonly className = 'RmsNorm';

  constructor(
    private readonly sizes: RmsNormConfig,
    stored?: WeightScope,
  ) {
    super({ ...sizes }, { weight: [sizes.features] }, stored);
  }

  /** @param inputs [N,T,D] @returns [N,T,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    return rmsNorm(single<tf.Tensor3D>(inputs), this.parameter('weight'), this.sizes.eps);
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }
}
serialization.registerClass(RmsNorm);
