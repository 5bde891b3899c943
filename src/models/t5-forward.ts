import * as tf from '@tensorflow/tfjs-core';
import { AbortError, OptionError } from '../errors.ts';
import { keyMask } from '../ops/relative-attention.ts';
import { assertShape } from '../shape.ts';
import type { ModelPart } from './build.ts';
import type { T5EncoderConfig } from './t5-config.ts';
import type { T5Part, T5Parts } from './t5-layers.ts';

/** A prompt's tokens, as a tokenizer gives them: all prompts of a call are padded to one length L. */
export interface PromptTokens {
  /** L ids. */
  readonly inputIds: ArrayLike<number>;
  /** L: 1 for tokens, 0 for padding. */
  readonly attentionMask: ArrayLike<number>;
}

export interface CaptionOptions {
  /** Called after each layer. */
  readonly onLayer?: ((progress: LayerProgress) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LayerProgress {
  /** The layer that is done, 0… from the embeddings. */
  readonly layer: number;
  readonly layers: number;
}

/** What makes a model's captions of prompts. */
export interface CaptionEncoder {
  readonly config: T5EncoderConfig;
  /**
   * All prompts in one pass over the weights. Padded rows are computed too, as transformers does.
   * @param prompts N prompts of L tokens
   * @returns [N,L,D]
   * @throws ShapeError or OptionError when the tokens are no such thing, AbortError, and what reading the weights throws.
   */
  encode(prompts: readonly PromptTokens[], options?: CaptionOptions): Promise<tf.Tensor3D>;
  /** May be called again. */
  dispose(): void;
}

/** Prompts that go through a layer together. */
export type PromptGroup = readonly PromptTokens[];

/** How a forward pass gets at the weights: once and for all in memory, or part by part from disk. */
export interface T5Access {
  /** The embeddings [n,L,D] of each group of n prompts. */
  embed(groups: readonly PromptGroup[]): Promise<tf.Tensor3D[]>;
  /** Calls `use` while the part is built. */
  withPart<L extends ModelPart['layer'], T>(part: T5Part<L>, use: (layer: L) => T): Promise<T>;
}

/**
 * Tokens that go through a layer at once. A layer's temporaries are some [tokens, feedForwardSize], 40 MB each in XXL;
 * more tokens make no product faster.
 */
const GROUP_TOKENS = 1024;

/** The forward pass of the encoder, the same for weights in memory and on disk. See `CaptionEncoder.encode`. */
export async function t5Forward(
  parts: T5Parts,
  access: T5Access,
  groups: readonly PromptGroup[],
  options: CaptionOptions,
): Promise<tf.Tensor3D> {
  const length = groups[0]?.[0]?.inputIds.length ?? 0;
  checkAborted(options.signal, 0, parts.layers.length);
  const hidden = new HiddenStates(groups, await access.embed(groups)); // [n,L,D] of each group
  try {
    const bias = await access.withPart(parts.relativeBias, (layer) => layer.ofLength(length)); // [1,h,L,L]
    try {
      await runLayers(parts, access, hidden, bias, options);
    } finally {
      bias.dispose();
    }
    await access.withPart(parts.finalNorm, (norm) => hidden.replace((x) => norm.call(x)));
    return hidden.join(); // [N,L,D]
  } finally {
    hidden.dispose();
  }
}

async function runLayers(
  parts: T5Parts,
  access: T5Access,
  hidden: HiddenStates,
  bias: tf.Tensor4D,
  { onLayer, signal }: CaptionOptions,
): Promise<void> {
  const layers = parts.layers.length;
  for (const [layer, { attention, feedForward }] of parts.layers.entries()) {
    await access.withPart(attention, (part) => hidden.replace((x, mask) => part.call([x, bias, mask])));
    await access.withPart(feedForward, (part) => hidden.replace((x) => part.call(x)));
    await onLayer?.({ layer, layers });
    await breathe();
    checkAborted(signal, layer + 1, layers);
  }
}

/** All prompts on their way through the layers, in groups. */
class HiddenStates {
  private readonly groups: { x: tf.Tensor3D; readonly mask: tf.Tensor4D }[];

  /** @param embeddings [n,L,D] of each group; taken over */
  constructor(groups: readonly PromptGroup[], embeddings: readonly tf.Tensor3D[]) {
    this.groups = embeddings.map((x, i) => {
      const prompts = groups[i] ?? [];
      return { x, mask: keyMask(prompts.map(({ attentionMask }) => attentionMask)) };
    });
  }

  /** Puts what `apply` makes of each group's [n,L,D] in its place. `mask` is [n,1,1,L]. */
  replace(apply: (x: tf.Tensor3D, mask: tf.Tensor4D) => tf.Tensor3D): void {
    for (const group of this.groups) {
      const next = apply(group.x, group.mask);
      group.x.dispose();
      group.x = next;
    }
  }

  /** All groups as one tensor [N,L,D]. */
  join(): tf.Tensor3D {
    const all = this.groups.map(({ x }) => x);
    return tf.tidy(() => (all.length === 1 ? (all[0] as tf.Tensor3D).clone() : tf.concat(all)));
  }

  dispose(): void {
    for (const { x, mask } of this.groups) tf.dispose([x, mask]);
  }
}

/** Prompts of so many tokens that go through a layer together. */
export function groupSize(length: number): number {
  return Math.max(1, Math.floor(GROUP_TOKENS / length));
}

/**
 * Splits prompts into groups.
 * @throws ShapeError when they differ in length, OptionError when an id is not in the vocabulary or a mask not 0 or 1.
 */
export function groupPrompts({ vocabSize }: T5EncoderConfig, prompts: readonly PromptTokens[]): PromptGroup[] {
  const length = prompts[0]?.inputIds.length ?? 0;
  if (length === 0) throw new OptionError('T5 tokens: expected at least one prompt of at least one token, got none');
  prompts.forEach(({ inputIds, attentionMask }, n) => {
    assertShape(`T5 tokens of prompt ${n + 1}`, [inputIds.length], [length]);
    assertShape(`T5 attention mask of prompt ${n + 1}`, [attentionMask.length], [length]);
    assertEach('T5 token ids', inputIds, `whole numbers from 0 to ${vocabSize - 1}`, (id) => id >= 0 && id < vocabSize);
    assertEach('T5 attention mask', attentionMask, '0 or 1', (value) => value === 0 || value === 1);
  });
  const size = groupSize(length);
  return Array.from({ length: Math.ceil(prompts.length / size) }, (_, i) => prompts.slice(i * size, (i + 1) * size));
}

function assertEach(where: string, row: ArrayLike<number>, expected: string, fits: (value: number) => boolean): void {
  for (let i = 0; i < row.length; i++) {
    const value = row[i] as number;
    if (!Number.isInteger(value) || !fits(value))
      throw new OptionError(`${where}: expected ${expected}, got ${value}; use the tokenizer of this encoder`);
  }
}

function checkAborted(signal: AbortSignal | undefined, done: number, layers: number): void {
  if (signal?.aborted) throw new AbortError(`encoding was stopped after ${done} of ${layers} layers`);
}

/** A turn of the event loop: where a backend computes synchronously, signals and timers would wait for the last layer. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
