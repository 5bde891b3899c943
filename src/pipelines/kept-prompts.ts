import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import type { PromptLength } from './captions.ts';
import type { PromptEmbeds } from './prompt-embeds.ts';
import type { EncodedPrompts } from './prompt-encoder.ts';

interface KeptPrompt extends PromptLength, Pick<PromptEmbeds, 'encoder'> {
  /** [1,L,D] */
  readonly embeds: tf.Tensor3D;
  /** [1,L] */
  readonly mask: tf.Tensor2D;
}

/** Prompts that were encoded ahead, found again by their text as it was encoded, after cleaning. */
export class KeptPrompts {
  private constructor(private readonly rows: ReadonlyMap<string, KeptPrompt>) {}

  /** @param encoded borrowed; of the same text the last one counts */
  static async of(encoded: readonly (PromptEmbeds & Partial<EncodedPrompts>)[]): Promise<KeptPrompts> {
    const rows = new Map<string, KeptPrompt>();
    for (const { embeds, mask, prompts, truncated, encoder } of encoded) {
      const [, length] = mask.shape;
      const ones = Array.from(await readTensor(mask));
      for (const [i, prompt] of prompts.entries()) {
        disposeRow(rows.get(prompt));
        rows.set(prompt, {
          embeds: tf.slice(embeds, [i, 0, 0], [1, -1, -1]),
          mask: tf.slice(mask, [i, 0], [1, -1]),
          prompt,
          tokens: ones.slice(i * length, (i + 1) * length).lastIndexOf(1) + 1,
          truncated: truncated?.[i] ?? null,
          encoder,
        });
      }
    }
    return new KeptPrompts(rows);
  }

  /** What is known of a prompt; undefined where it is not kept. */
  get(prompt: string): PromptLength | undefined {
    return this.rows.get(prompt);
  }

  /** A row a prompt, in fresh tensors. @param others where those are that are not kept here */
  pick(prompts: readonly string[], others?: KeptPrompts): EncodedPrompts {
    const rows = prompts.flatMap((prompt) => this.rows.get(prompt) ?? others?.rows.get(prompt) ?? []);
    const [first] = rows;
    if (!first || rows.length < prompts.length) throw new RangeError('a prompt is not kept');
    return {
      embeds: tf.concat(rows.map(({ embeds }) => embeds)),
      mask: tf.concat(rows.map(({ mask }) => mask)),
      prompts,
      truncated: rows.map(({ truncated }) => truncated),
      encoder: first.encoder,
    };
  }

  dispose(): void {
    for (const row of this.rows.values()) disposeRow(row);
  }
}

function disposeRow(row: KeptPrompt | undefined): void {
  if (row) tf.dispose([row.embeds, row.mask]);
}
