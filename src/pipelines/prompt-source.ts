import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../errors.ts';
import { preparePrompt } from '../tokenizers/clean-prompt.ts';
import type { PromptLength } from './captions.ts';
import { KeptPrompts } from './kept-prompts.ts';
import type { PromptEmbeds } from './prompt-embeds.ts';
import type { EncodedPrompts, EncodeOptions, PromptEncoder } from './prompt-encoder.ts';

/** Where a pipeline's captions come from: prompts kept since they were encoded ahead, or else the text encoder. */
export class PromptSource {
  private kept: KeptPrompts | undefined;

  /** @param name of the checkpoint, for errors @param promptEncoder disposed with this */
  constructor(
    private readonly name: string,
    private readonly promptEncoder: PromptEncoder | undefined,
  ) {}

  /** @throws CheckpointError when a prompt is not kept and there is no text encoder. */
  async encode(prompts: readonly string[], options: EncodeOptions): Promise<EncodedPrompts> {
    const { kept } = this;
    if (!kept) return this.textEncoder().encode(prompts, options);
    const cleaned = prompts.map((prompt) => preparePrompt(prompt, { clean: options.cleanPrompt }));
    const missing = prompts.filter((_, i) => !kept.get(cleaned[i] ?? ''));
    if (missing.length === 0) return kept.pick(cleaned);
    const encoded = await this.textEncoder().encode(missing, options);
    const others = await KeptPrompts.of([encoded]);
    tf.dispose([encoded.embeds, encoded.mask]);
    try {
      return kept.pick(cleaned, others);
    } finally {
      others.dispose();
    }
  }

  /** Keeps these instead of those of an earlier call. @param encoded borrowed */
  async keep(encoded: readonly PromptEmbeds[]): Promise<void> {
    const kept = await KeptPrompts.of(encoded);
    this.kept?.dispose();
    this.kept = kept;
  }

  /** Encodes nothing. @throws as `encode` */
  measure(text: string, options: EncodeOptions): PromptLength {
    const kept = this.kept?.get(preparePrompt(text, { clean: options.cleanPrompt }));
    if (kept) return kept;
    const { prompt, attentionMask, truncated = null } = this.textEncoder().tokenize(text, options);
    return { prompt, tokens: attentionMask.lastIndexOf(1) + 1, truncated };
  }

  dispose(): void {
    this.promptEncoder?.dispose();
    this.kept?.dispose();
    this.kept = undefined;
  }

  private textEncoder(): PromptEncoder {
    if (this.promptEncoder) return this.promptEncoder;
    throw new CheckpointError(
      `${this.name}: has no text encoder or no tokenizer; give both (--text-encoder, --tokenizer), or encoded prompts (--embeds)`,
    );
  }
}
