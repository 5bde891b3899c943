import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { Composite } from './composite.ts';
import { Linear } from './linear.ts';
import { outputShape, single } from './tensors.ts';

export interface CaptionProjectionConfig {
  /** Width of the text encoder. */
  readonly captionChannels: number;
  readonly hiddenSize: number;
}

/** Linear, GELU (tanh approximation), linear: a text encoder's features to the model's width (PixArt's y_proj). */
export class CaptionProjection extends Composite {
  static readonly className = 'CaptionProjection';
  private readonly fc1: Linear;
  private readonly fc2: Linear;

  constructor(
    private readonly sizes: CaptionProjectionConfig,
    stored?: WeightScope,
  ) {
    super();
    const { captionChannels, hiddenSize } = sizes;
    const linear = (name: string, inFeatures: number) =>
      this.child(name, new Linear({ inFeatures, outFeatures: hiddenSize }, stored?.at(name)));
    this.fc1 = linear('fc1', captionChannels);
    this.fc2 = linear('fc2', hiddenSize);
  }

  /** @param inputs [N,L,captionChannels] @returns [N,L,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    return tf.tidy(() => this.fc2.call(this.fc1.callGelu(single<tf.Tensor3D>(inputs)))); // [N,L,D]
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return outputShape(inputShape, this.sizes.hiddenSize);
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(CaptionProjection);
