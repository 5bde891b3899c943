/**
 * A small residual network (He et al., arXiv 1512.03385) that tells what a picture shows, channels last; batch norms are
 * folded into the convolutions (checkpoints/emoji-classifier/train/classifier.py).
 * Letters: N pictures, H×W positions, S image size, C channels, F features, L labels.
 */
import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { withWeights } from '../checkpoint/archive.ts';
import type { WeightScope, Weights } from '../checkpoint/weights.ts';
import { Composite } from '../layers/composite.ts';
import { Conv2d, Downsample2d } from '../layers/conv2d.ts';
import { Linear } from '../layers/linear.ts';
import { single } from '../layers/tensors.ts';
import { assertShape, type Shape } from '../shape.ts';
import { buildParts, disposeParts, type ModelPart, parameterShapesOf } from './build.ts';
import type { ImageClassifierCheckpoint } from './image-classifier-checkpoint.ts';
import type { ImageClassifierConfig } from './image-classifier-config.ts';

/** conv → ReLU → conv, plus the input, → ReLU. */
export class ResidualBlock extends Composite {
  static readonly className = 'ResidualBlock';
  private readonly conv1: Conv2d;
  private readonly conv2: Conv2d;

  constructor(
    private readonly sizes: { readonly channels: number },
    stored?: WeightScope,
  ) {
    super();
    const { channels } = sizes;
    const conv = (name: string) =>
      this.child(name, new Conv2d({ inChannels: channels, outChannels: channels, kernelSize: 3 }, stored?.at(name)));
    this.conv1 = conv('conv1');
    this.conv2 = conv('conv2');
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const x = single<tf.Tensor4D>(inputs);
    return tf.tidy(() => {
      const inner = tf.relu(this.conv1.call(x)); // [N,H,W,C]
      return tf.relu(tf.add(x, this.conv2.call(inner))); // [N,H,W,C]
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(ResidualBlock);

export interface ClassifierStageConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly blocks: number;
}

/** Halves height and width, then residual blocks. */
export class ClassifierStage extends Composite {
  static readonly className = 'ClassifierStage';
  private readonly downsample: Downsample2d;
  private readonly blocks: readonly ResidualBlock[];

  constructor(
    private readonly sizes: ClassifierStageConfig,
    stored?: WeightScope,
  ) {
    super();
    const { inChannels, outChannels, blocks } = sizes;
    this.downsample = this.child('downsample', new Downsample2d({ inChannels, outChannels }, stored?.at('downsample')));
    this.blocks = Array.from({ length: blocks }, (_, i) =>
      this.child(`blocks.${i}`, new ResidualBlock({ channels: outChannels }, stored?.at(`blocks.${i}`))),
    );
  }

  /** @param inputs [N,H,W,C] @returns [N,H/2,W/2,C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    return tf.tidy(() => {
      const x = tf.relu(this.downsample.call(inputs)); // [N,H/2,W/2,C']
      return this.blocks.reduce((y, block) => block.call(y), x); // [N,H/2,W/2,C']
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return this.downsample.computeOutputShape(inputShape);
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(ClassifierStage);

/** What a classifier says of pictures. */
export interface Classified {
  /** [N,F], what lies before the last layer. */
  readonly features: tf.Tensor2D;
  /** [N,L], of each label; a row's sum is 1. */
  readonly probabilities: tf.Tensor2D;
}

export class ImageClassifier {
  private readonly stages: readonly ClassifierStage[];
  private readonly head: Linear;

  private constructor(
    readonly config: ImageClassifierConfig,
    stored?: WeightScope,
  ) {
    const { inChannels, channels, blocks, numLabels } = config;
    this.stages = channels.map((outChannels, i) => {
      const sizes = { inChannels: channels[i - 1] ?? inChannels, outChannels, blocks };
      return new ClassifierStage(sizes, stored?.at(`stages.${i}`));
    });
    this.head = new Linear({ inFeatures: channels.at(-1) ?? inChannels, outFeatures: numLabels }, stored?.at('head'));
  }

  /**
   * Reads an opened checkpoint into the current backend; closing it stays with the caller.
   * @throws CheckpointError when its tensors are not those of its config.
   */
  static async fromCheckpoint({ config, archive }: ImageClassifierCheckpoint): Promise<ImageClassifier> {
    return withWeights(archive, (weights) => ImageClassifier.fromWeights(config, weights));
  }

  /** @throws CheckpointError when the tensors are not those of `config`. */
  static async fromWeights(config: ImageClassifierConfig, weights: Weights): Promise<ImageClassifier> {
    const classifier = new ImageClassifier(config, weights.scope());
    weights.expect(parameterShapesOf(classifier.parts()));
    await buildParts(classifier.parts(), weights);
    return classifier;
  }

  /** Parameter name → shape. */
  static parameterShapes(config: ImageClassifierConfig): ReadonlyMap<string, Shape> {
    return parameterShapesOf(new ImageClassifier(config).parts());
  }

  /**
   * @param images [N,S,S,3] in [−1,1], borrowed
   * @throws ShapeError for pictures of another size
   */
  predict(images: tf.Tensor4D): Classified {
    const { imageSize, inChannels } = this.config;
    assertShape('ImageClassifier.predict: images', images.shape, [null, imageSize, imageSize, inChannels]);
    return tf.tidy(() => {
      const maps = this.stages.reduce((x, stage) => stage.call(x), images); // [N,S/2ⁿ,S/2ⁿ,F] of n stages
      const features: tf.Tensor2D = tf.mean(maps, [1, 2]); // [N,F]
      return { features, probabilities: tf.softmax(this.head.call(features)) }; // [N,F], [N,L]
    });
  }

  dispose(): void {
    disposeParts(this.parts());
  }

  private parts(): ModelPart[] {
    return [...this.stages.map((layer, i) => ({ path: `stages.${i}`, layer })), { path: 'head', layer: this.head }];
  }
}
