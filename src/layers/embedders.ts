import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { silu } from '../ops/activations.ts';
import { timestepFrequencies } from '../ops/embeddings.ts';
import { linear } from '../ops/linear.ts';
import { patchify } from '../ops/patchify.ts';
import { Composite } from './composite.ts';
import { Linear } from './linear.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { single } from './tensors.ts';

export interface PatchEmbedConfig {
  readonly patchSize: number;
  readonly inChannels: number;
  readonly hiddenSize: number;
}

/** Patches to tokens: a convolution whose stride is its size. `proj.kernel` is HWIO [p,p,C,D]. */
export class PatchEmbed extends ParameterLayer {
  static readonly className = 'PatchEmbed';

  constructor(
    private readonly sizes: PatchEmbedConfig,
    stored?: WeightScope,
  ) {
    const { patchSize: p, inChannels, hiddenSize } = sizes;
    const shapes = { 'proj.kernel': [p, p, inChannels, hiddenSize], 'proj.bias': [hiddenSize] };
    super({ ...sizes }, shapes, stored, 'proj.kernel');
  }

  /** @param inputs [N,H,W,C] @returns [N,T,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const { patchSize: p, inChannels } = this.sizes;
    return tf.tidy(() => {
      const patches = patchify(single<tf.Tensor4D>(inputs), p); // [N,T,p·p·C]
      const kernel = tf.reshape(this.parameter('proj.kernel'), [p * p * inChannels, -1]) as tf.Tensor2D;
      return linear(patches, { kernel, bias: this.parameter('proj.bias'), dtype: this.dtypeOf('proj.kernel') }); // [N,T,D]
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    const [n = null, h, w] = inputShape;
    const tokens = h == null || w == null ? null : (h * w) / this.sizes.patchSize ** 2;
    return [n, tokens, this.sizes.hiddenSize];
  }
}
serialization.registerClass(PatchEmbed);

/** Width of the sine-cosine features (DiT models.py TimestepEmbedder, frequency_embedding_size). */
const FREQUENCY_SIZE = 256;

export interface TimestepEmbedderConfig {
  readonly hiddenSize: number;
  /** 0: facebookresearch/DiT. 1: diffusers (see `timestepFrequencies`). */
  readonly frequencyShift: 0 | 1;
}

/** Timesteps to vectors: frequencies, linear, SiLU, linear. `mlp.0` and `mlp.2` are the two linears. */
export class TimestepEmbedder extends Composite {
  static readonly className = 'TimestepEmbedder';
  private readonly fc1: Linear;
  private readonly fc2: Linear;

  constructor(
    private readonly sizes: TimestepEmbedderConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize } = sizes;
    this.fc1 = this.child(
      'mlp.0',
      new Linear({ inFeatures: FREQUENCY_SIZE, outFeatures: hiddenSize }, stored?.at('mlp.0')),
    );
    this.fc2 = this.child(
      'mlp.2',
      new Linear({ inFeatures: hiddenSize, outFeatures: hiddenSize }, stored?.at('mlp.2')),
    );
  }

  /** @param timesteps N values @returns [N,D] */
  embed(timesteps: readonly number[]): tf.Tensor2D {
    return tf.tidy(() => this.call(timestepFrequencies(timesteps, FREQUENCY_SIZE, this.sizes.frequencyShift)));
  }

  /** @param inputs frequencies [N,256] @returns [N,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor2D {
    return tf.tidy(() => this.fc2.call(silu(this.fc1.call(single<tf.Tensor2D>(inputs)))));
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return [inputShape[0] ?? null, this.sizes.hiddenSize];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(TimestepEmbedder);

export interface LabelEmbedderConfig {
  readonly numClasses: number;
  readonly hiddenSize: number;
}

/** Class labels to vectors. Row `numClasses` of the table, the last, means "no class". */
export class LabelEmbedder extends ParameterLayer {
  static readonly className = 'LabelEmbedder';

  constructor(
    private readonly sizes: LabelEmbedderConfig,
    stored?: WeightScope,
  ) {
    const table = 'embedding_table.weight';
    super({ ...sizes }, { [table]: [sizes.numClasses + 1, sizes.hiddenSize] }, stored, table);
  }

  /** @param labels N values in 0…numClasses @returns [N,D] */
  embed(labels: readonly number[]): tf.Tensor2D {
    return tf.tidy(() => this.call(tf.tensor1d([...labels], 'int32')));
  }

  /** @param inputs [N] int32 @returns [N,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor2D {
    return this.rows<tf.Tensor2D>('embedding_table.weight', single<tf.Tensor1D>(inputs));
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return [inputShape[0] ?? null, this.sizes.hiddenSize];
  }
}
serialization.registerClass(LabelEmbedder);
