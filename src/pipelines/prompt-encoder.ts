import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../checkpoint/archive.ts';
import type { CheckpointFolder } from '../checkpoint/folder.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import { PIXART_CAPTION_LENGTH } from '../models/pixart-config.ts';
import type { T5Checkpoint } from '../models/t5-checkpoint.ts';
import { T5Encoder } from '../models/t5-encoder.ts';
import type { CaptionEncoder, CaptionOptions } from '../models/t5-forward.ts';
import { staysOnDisk } from '../models/t5-memory.ts';
import { StreamedT5Encoder } from '../models/t5-streamed.ts';
import { preparePrompt } from '../tokenizers/clean-prompt.ts';
import { type EncodedPrompt, T5Tokenizer } from '../tokenizers/t5-tokenizer.ts';
import type { EncoderIdentity, PromptEmbeds } from './prompt-embeds.ts';

export interface EncodeOptions extends CaptionOptions {
  /** Whether prompts are cleaned as diffusers does with `clean_caption`. Default true; else only lower-cased and stripped. */
  readonly cleanPrompt?: boolean | undefined;
}

/** Prompts after the text encoder; the caller disposes `embeds` and `mask`. */
export interface EncodedPrompts extends PromptEmbeds {
  /** Of each prompt the end that did not fit into the caption's tokens, or null. */
  readonly truncated: readonly (string | null)[];
}

/** A prompt after cleaning, and its tokens. */
export interface TokenizedPrompt extends EncodedPrompt {
  readonly prompt: string;
}

/** Prompts to captions: cleaning, tokenizer, T5. Small encoders are held in memory, large ones run layer by layer. */
export class PromptEncoder {
  private constructor(
    private readonly tokenizer: T5Tokenizer,
    private readonly identity: EncoderIdentity,
    private readonly inMemory: CaptionEncoder | undefined,
    private readonly open: () => Promise<T5Checkpoint>,
    private readonly dtype: WeightDtype | undefined,
  ) {}

  /**
   * @param dtype of the encoder's weights in memory. Default: float32
   * @throws CheckpointError, FileError or FormatError when tokenizer or encoder cannot be read or do not fit together.
   */
  static async create(
    open: () => Promise<T5Checkpoint>,
    folder: CheckpointFolder,
    dtype?: WeightDtype,
  ): Promise<PromptEncoder> {
    const tokenizer = await T5Tokenizer.fromFolder(folder);
    const checkpoint = await open();
    try {
      const { name, sha256, config, archive } = checkpoint;
      const inMemory = staysOnDisk(config, dtype)
        ? undefined
        : await withWeights(archive, (weights) => T5Encoder.fromWeights(config, weights), dtype);
      return new PromptEncoder(tokenizer, { name, sha256 }, inMemory, open, dtype);
    } finally {
      await checkpoint.close();
    }
  }

  /** A prompt as it would be encoded. */
  tokenize(text: string, { cleanPrompt: clean }: EncodeOptions = {}): TokenizedPrompt {
    const prompt = preparePrompt(text, { clean });
    return { prompt, ...this.tokenizer.encode(prompt, { maxLength: PIXART_CAPTION_LENGTH }) };
  }

  /** All prompts in one pass over the weights. */
  async encode(given: readonly string[], options: EncodeOptions = {}): Promise<EncodedPrompts> {
    const tokens = given.map((prompt) => this.tokenize(prompt, options));
    const prompts = tokens.map(({ prompt }) => prompt);
    const embeds = await this.withEncoder((encoder) => encoder.encode(tokens, options));
    const mask = tf.tensor2d(
      tokens.flatMap(({ attentionMask }) => Array.from(attentionMask)),
      [tokens.length, PIXART_CAPTION_LENGTH],
      'int32',
    );
    const truncated = tokens.map((one) => one.truncated ?? null);
    return { embeds, mask, prompts, truncated, encoder: this.identity };
  }

  dispose(): void {
    this.inMemory?.dispose();
  }

  private async withEncoder<T>(use: (encoder: CaptionEncoder) => Promise<T>): Promise<T> {
    if (this.inMemory) return use(this.inMemory);
    const { config, archive, close } = await this.open();
    try {
      return await use(new StreamedT5Encoder(config, archive, this.dtype));
    } finally {
      await close();
    }
  }
}
