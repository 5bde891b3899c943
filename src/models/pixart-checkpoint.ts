import type { CheckpointFolder } from '../checkpoint/folder.ts';
import type { StoredTensor, TensorArchive } from '../checkpoint/stored-tensor.ts';
import type { AutoencoderKLConfig } from './autoencoder-config.ts';
import type { SamplingDefaults } from './dit-checkpoint.ts';
import type { Numerics } from './dit-config.ts';
import type { PixArtConfig } from './pixart-config.ts';
import type { T5Checkpoint } from './t5-checkpoint.ts';

/** Where a converted checkpoint keeps the null caption, among the transformer's tensors. */
export const NULL_CAPTION = 'y_embedder.y_embedding';
export const IS_NULL_CAPTION = /^y_embedder\.y_embedding$/;

/** An opened checkpoint of a PixArt-α, whatever its layout on disk. Nothing is read before it is asked. */
export interface PixArtCheckpoint {
  /** Shown in errors and reports. */
  readonly name: string;
  /** Whose numbers the weights were trained or converted for. */
  readonly numerics: Numerics;
  readonly transformer: { readonly config: PixArtConfig; readonly archive: TensorArchive };
  /**
   * What the original gives in the place of an encoded "" for guidance: features [L,captionChannels] of a text encoder,
   * which take the prompt's mask. Original files have it, and diffusers' folders of the time before 0.25.
   */
  readonly nullCaption: StoredTensor | undefined;
  /** The archive may hold the encoder too. */
  readonly vae: { readonly config: AutoencoderKLConfig; readonly archive: TensorArchive };
  /**
   * Opens the text encoder, whose weights are read as prompts are encoded; the caller closes it. Undefined where the
   * checkpoint has none and none was given.
   * @throws CheckpointError when it is not as wide as the transformer's captions.
   */
  readonly openTextEncoder: (() => Promise<T5Checkpoint>) | undefined;
  /** Holds `spiece.model` or `tokenizer.json`; undefined where the checkpoint has none and none was given. */
  readonly tokenizer: CheckpointFolder | undefined;
  /** diffusers' scheduler_config.json, as it stands; of an original file, what diffusers' converter gives it. */
  readonly scheduler: Readonly<Record<string, unknown>>;
  readonly defaults: Partial<SamplingDefaults>;
  /** The text of the cache plan that it carries, where it carries one. */
  readonly cachePlan?: string | undefined;
  /** Paths of the files that hold the weights of transformer and autoencoder. */
  readonly files: readonly string[];
  /** Their sha256, where the checkpoint states them; else empty. */
  readonly sha256: readonly string[];
  close(): Promise<void>;
}
