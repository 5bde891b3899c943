import type { TensorArchive } from '../checkpoint/stored-tensor.ts';
import { CheckpointError } from '../errors.ts';
import type { T5EncoderConfig } from './t5-config.ts';

/** An opened checkpoint of a T5 encoder, whatever its layout on disk. Nothing is read before it is asked. */
export interface T5Checkpoint {
  /** Shown in errors and reports. */
  readonly name: string;
  readonly config: T5EncoderConfig;
  /** By the names of `T5Encoder.parameterShapes`. */
  readonly archive: TensorArchive;
  /** Paths of the files that hold the weights. */
  readonly files: readonly string[];
  /** Their sha256, where the checkpoint states them; else empty. */
  readonly sha256: readonly string[];
  close(): Promise<void>;
}

/**
 * A model was trained on the features of one text encoder, and takes no other's.
 * @param captionChannels the width that the model takes
 * @throws CheckpointError when the encoder gives another.
 */
export function assertEncoderWidth(
  { name, config }: Pick<T5Checkpoint, 'name' | 'config'>,
  captionChannels: number,
): void {
  if (config.hiddenSize === captionChannels) return;
  throw new CheckpointError(
    `${name}: expected a text encoder of width ${captionChannels}, which the model was trained with, got width ` +
      `${config.hiddenSize}; give the text_encoder of the model's own folder (PixArt-α: t5-v1_1-xxl, width 4096)`,
  );
}
