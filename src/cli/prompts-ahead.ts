import * as tf from '@tensorflow/tfjs-core';
import { fileSource } from '../checkpoint/file-source.ts';
import {
  type EncodedPrompts,
  OptionError,
  type PixArtPipeline,
  type PromptEmbeds,
  preparePrompt,
  readPromptEmbeds,
  serialisePromptEmbeds,
} from '../index.ts';
import { writeWhole } from './pictures.ts';
import { ProgressLine } from './progress.ts';

/** Prompts that go through the text encoder in one pass: 2 MB each for a PixArt-XL, and XXL reads 19 GB a pass. */
const PROMPTS_A_PASS = 128;
/** In one file of encoded prompts: 2 GB for a PixArt-XL. */
const MAX_SAVED = 1024;

export interface AheadOptions {
  /** Where encoded prompts come from, instead of the text encoder. */
  readonly embeds?: string | undefined;
  /** Where they go. */
  readonly saveEmbeds?: string | undefined;
  readonly negativePrompt?: string | undefined;
  readonly cleanPrompt?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly signal: AbortSignal;
}

/**
 * The prompts of a run, encoded ahead of its pictures, many in one pass of the text encoder, and found again by the
 * pipeline.
 */
export class PromptsAhead {
  /** Wall time of the text encoder. */
  seconds = 0;
  /** The pictures whose prompts are kept. */
  private from = 0;
  private reached = 0;
  private given: readonly PromptEmbeds[] = [];

  /** @param prompts one a picture, in the order in which pictures are made */
  constructor(
    private readonly pipe: PixArtPipeline,
    private readonly prompts: readonly string[],
    private readonly options: AheadOptions,
  ) {
    const count = new Set(prompts).size;
    if (options.saveEmbeds !== undefined && count > MAX_SAVED)
      throw new OptionError(`--save-embeds: expected at most ${MAX_SAVED} prompts in one file, got ${count}`);
  }

  /** Reads what is encoded already. @throws CheckpointError or FormatError when it is of another model, or damaged */
  async read(): Promise<void> {
    const { embeds: path, negativePrompt } = this.options;
    if (path === undefined) return;
    const { captionChannels } = this.pipe.transformer.config;
    const { negative, ...embeds } = await readPromptEmbeds(await fileSource(path), captionChannels);
    const usesSaved =
      negative !== undefined && (negativePrompt === undefined || negativePrompt === negative.prompts[0]);
    if (negative && !usesSaved) disposeAll([negative]);
    this.given = [embeds, ...(usesSaved ? [negative] : [])].map((half) => this.underSubjects(half));
    await this.pipe.keepPrompts(...this.given);
  }

  /**
   * Makes sure that the prompts of the pictures from `first` to `end` − 1 are encoded, and of as many after them as one
   * pass takes.
   * @param negative what they should not show, where the run takes that
   */
  async reach(first: number, end: number, negative: string | undefined): Promise<void> {
    if (first >= this.from && end <= this.reached) return;
    if (this.given.length > 0) return this.addNegative(negative);
    const { saveEmbeds } = this.options;
    const reached = saveEmbeds === undefined ? Math.max(end, this.endOfPass(first)) : this.prompts.length;
    const texts = [...new Set(this.prompts.slice(first, reached))];
    const encoded = await this.encode([...texts, ...(negative === undefined ? [] : [negative])]);
    try {
      if (saveEmbeds !== undefined) await save(saveEmbeds, encoded, texts.length);
      await this.pipe.keepPrompts(encoded);
    } finally {
      disposeAll([encoded]);
    }
    [this.from, this.reached] = [first, reached];
  }

  dispose(): void {
    disposeAll(this.given);
    this.given = [];
  }

  private endOfPass(first: number): number {
    const seen = new Set<string>();
    for (let i = first; i < this.prompts.length; i++) {
      seen.add(this.prompts[i] ?? '');
      if (seen.size > PROMPTS_A_PASS) return i;
    }
    return this.prompts.length;
  }

  /** The pipeline looks for a subject's text after cleaning it, which the saved one went through already. */
  private underSubjects(embeds: PromptEmbeds): PromptEmbeds {
    const { cleanPrompt: clean } = this.options;
    return { ...embeds, prompts: embeds.prompts.map((text) => preparePrompt(text, { clean })) };
  }

  private async addNegative(negative: string | undefined): Promise<void> {
    if (negative !== undefined && this.given.length === 1) {
      const encoded = await this.encode([negative]);
      await this.pipe.keepPrompts(...this.given, encoded).finally(() => disposeAll([encoded]));
    }
    this.dispose();
    this.reached = this.prompts.length;
  }

  private async encode(texts: readonly string[]): Promise<EncodedPrompts> {
    const { quiet, cleanPrompt, signal } = this.options;
    const progress = quiet ? undefined : new ProgressLine('Encoding');
    const start = performance.now();
    try {
      return await this.pipe.encodePrompts(texts, {
        cleanPrompt,
        signal,
        onLayer: ({ layer, layers }) => progress?.update((layer + 1) / layers, `layer ${layer + 1}/${layers}`),
      });
    } finally {
      this.seconds += (performance.now() - start) / 1000;
      progress?.end();
    }
  }
}

/** @param encoded prompts, and after them their negative one where there is one */
async function save(path: string, encoded: EncodedPrompts, count: number): Promise<void> {
  const { prompts, encoder } = encoded;
  const rows = (first: number, end: number): PromptEmbeds => ({
    embeds: tf.slice(encoded.embeds, [first, 0, 0], [end - first, -1, -1]),
    mask: tf.slice(encoded.mask, [first, 0], [end - first, -1]),
    prompts: prompts.slice(first, end),
    encoder,
  });
  const positive = rows(0, count);
  const negative = count < prompts.length ? rows(count, prompts.length) : undefined;
  try {
    await writeWhole(path, await serialisePromptEmbeds({ ...positive, negative }));
  } finally {
    disposeAll(negative ? [positive, negative] : [positive]);
  }
}

function disposeAll(encoded: readonly PromptEmbeds[]): void {
  tf.dispose(encoded.flatMap(({ embeds, mask }) => [embeds, mask]));
}
