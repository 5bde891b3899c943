import type { TensorArchive } from '../checkpoint/stored-tensor.ts';
import type { ImageClassifierConfig, ImageLabel } from './image-classifier-config.ts';

/** An opened checkpoint of an image classifier. Nothing is read before it is asked. */
export interface ImageClassifierCheckpoint {
  /** Shown in errors and reports. */
  readonly name: string;
  readonly config: ImageClassifierConfig;
  /** By the names of `ImageClassifier.parameterShapes`. */
  readonly archive: TensorArchive;
  /** One for each of `numLabels`. */
  readonly labels: readonly ImageLabel[];
  /** Paths of the files that hold the weights. */
  readonly files: readonly string[];
  /** Their sha256. */
  readonly sha256: readonly string[];
  close(): Promise<void>;
}
