import type * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { groupNorm, groupNormSilu } from '../ops/group-norm.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { single } from './tensors.ts';

// eps 1e-6: diffusers ResnetBlock2D and Attention as AutoencoderKL makes them (PyTorch's own default is 1e-5)
const EPS = 1e-6;

export interface GroupNormConfig {
  readonly channels: number;
  readonly numGroups: number;
  /** Follow the norm by SiLU, in one seat. */
  readonly silu?: boolean;
}

/** GroupNorm with affine `weight` and `bias` [C]. */
export class GroupNorm extends ParameterLayer {
  static readonly className = 'GroupNorm';

  constructor(
    private readonly sizes: GroupNormConfig,
    stored?: WeightScope,
  ) {
    super({ ...sizes }, { weight: [sizes.channels], bias: [sizes.channels] }, stored);
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const norm = this.sizes.silu ? groupNormSilu : groupNorm;
    return norm(
      single<tf.Tensor4D>(inputs),
      this.sizes.numGroups,
      this.parameter('weight'),
      this.parameter('bias'),
      EPS,
    );
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }
}
serialization.registerClass(GroupNorm);
