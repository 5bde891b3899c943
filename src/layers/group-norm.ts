import type * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import {
  type GroupMoments,
  groupNorm,
  groupNormSilu,
  normaliseGroups,
  normaliseGroupsSilu,
} from '../ops/group-norm.ts';
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

  get channels(): number {
    return this.sizes.channels;
  }

  get numGroups(): number {
    return this.sizes.numGroups;
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

  /** `call` on a part of an activation, by the statistics of the whole. @param x [N,rows,W,C] @returns [N,rows,W,C] */
  callBand(x: tf.Tensor4D, moments: GroupMoments): tf.Tensor4D {
    const normalise = this.sizes.silu ? normaliseGroupsSilu : normaliseGroups;
    return normalise(x, moments, { weight: this.parameter('weight'), bias: this.parameter('bias'), eps: EPS });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }
}
serialization.registerClass(GroupNorm);
