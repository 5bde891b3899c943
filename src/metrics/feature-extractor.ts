import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import { AbortError } from '../errors.ts';
import { ImageClassifier } from '../models/image-classifier.ts';
import type { ImageClassifierCheckpoint } from '../models/image-classifier-checkpoint.ts';
import type { ImageLabel } from '../models/image-classifier-config.ts';
import { fromPixels, type PixelImage } from '../pipelines/image.ts';
import { resizeLanczos } from '../pipelines/lanczos.ts';

/** Pictures that run through the classifier together: some megabytes of activations each. */
const BATCH_SIZE = 32;

export interface ExtractOptions {
  /** Called before each batch with the number of pictures that are done. */
  readonly onProgress?: ((done: number) => void) | undefined;
  /** Stops between batches. */
  readonly signal?: AbortSignal | undefined;
}

/** What a classifier says of pictures, a row for each. */
export interface ExtractedRows {
  /** Of `featureCount` numbers, what the classifier has before its last layer. */
  readonly features: readonly Float32Array[];
  /** Of each label; the sum is 1. */
  readonly probabilities: readonly Float32Array[];
}

/**
 * A classifier as metrics use it: pictures of any size in, numbers out. Pictures of another size than the classifier's are
 * resized (Lanczos, antialiased), whatever their shape.
 */
export class FeatureExtractor {
  private constructor(
    /** Of the checkpoint. */
    readonly name: string,
    readonly labels: readonly ImageLabel[],
    private readonly classifier: ImageClassifier,
  ) {}

  /** Reads an opened checkpoint into the current backend; closing it stays with the caller. @throws CheckpointError */
  static async fromCheckpoint(checkpoint: ImageClassifierCheckpoint): Promise<FeatureExtractor> {
    const classifier = await ImageClassifier.fromCheckpoint(checkpoint);
    return new FeatureExtractor(checkpoint.name, checkpoint.labels, classifier);
  }

  /** Length of a row of features. */
  get featureCount(): number {
    return this.classifier.config.channels.at(-1) ?? 0;
  }

  /** Features and probabilities in one pass. @throws AbortError between batches, when stopped */
  async extract(images: readonly PixelImage[], { onProgress, signal }: ExtractOptions = {}): Promise<ExtractedRows> {
    const features: Float32Array[] = [];
    const probabilities: Float32Array[] = [];
    for (let first = 0; first < images.length; first += BATCH_SIZE) {
      if (signal?.aborted) throw new AbortError(`features: stopped after ${first} of ${images.length} pictures`);
      onProgress?.(first);
      const rows = await this.batch(images.slice(first, first + BATCH_SIZE));
      features.push(...rows.features);
      probabilities.push(...rows.probabilities);
    }
    return { features, probabilities };
  }

  async features(images: readonly PixelImage[], options?: ExtractOptions): Promise<readonly Float32Array[]> {
    return (await this.extract(images, options)).features;
  }

  async probabilities(images: readonly PixelImage[], options?: ExtractOptions): Promise<readonly Float32Array[]> {
    return (await this.extract(images, options)).probabilities;
  }

  dispose(): void {
    this.classifier.dispose();
  }

  private async batch(images: readonly PixelImage[]): Promise<ExtractedRows> {
    const { imageSize } = this.classifier.config;
    const classified = tf.tidy(() => {
      const pixels = images.map((image) => fromPixels(resizeLanczos(image, imageSize, imageSize)));
      return { ...this.classifier.predict(tf.concat(pixels, 0)) };
    });
    try {
      const [features, probabilities] = await Promise.all([
        rowsOf(classified.features),
        rowsOf(classified.probabilities),
      ]);
      return { features, probabilities };
    } finally {
      tf.dispose(classified);
    }
  }
}

async function rowsOf(matrix: tf.Tensor2D): Promise<Float32Array[]> {
  const [rows, columns] = matrix.shape;
  const values = (await readTensor(matrix)) as Float32Array;
  return Array.from({ length: rows }, (_, i) => values.slice(i * columns, (i + 1) * columns));
}
