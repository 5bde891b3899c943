import * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../device.ts';
import { assertShape } from '../shape.ts';
import type { PixArtGenerateOptions } from './pixart-options.ts';
import type { EncodedPrompts } from './prompt-encoder.ts';
import type { PixArtReport } from './report.ts';

/** What captions say, and how long the longest is: L tokens. */
export interface CaptionTexts extends Pick<PixArtReport, 'prompts' | 'negativePrompts' | 'truncated'> {
  readonly length: number;
}

/** What the model attends to in all steps of a run, [uncond, cond] with guidance; freed by `disposeCaptions`. */
export interface Captions extends CaptionTexts {
  /** [2N,L,D], without guidance [N,L,D]. */
  readonly embeds: tf.Tensor3D;
  /** [2N,L] or [N,L]. */
  readonly mask: tf.Tensor2D;
}

/** Prompts and negative prompts of a run, one each. */
export type CaptionRequest = Pick<PixArtGenerateOptions, 'promptEmbeds' | 'negativePromptEmbeds'> & {
  readonly prompts: readonly string[] | undefined;
  readonly negativePrompts: readonly string[] | undefined;
  readonly n: number;
};

export interface CaptionSources {
  readonly encode: (prompts: readonly string[]) => Promise<EncodedPrompts>;
  /**
   * What stands for "no caption" [L,D], with each prompt's own mask (forward_with_dpmsolver of PixArt-alpha PixArt.py);
   * undefined: the encoded "", with its own mask (diffusers).
   */
  readonly nullCaption: tf.Tensor2D | undefined;
}

/** Both halves' captions, everything that must be encoded in one pass of the text encoder. */
export async function captionsOf(
  request: CaptionRequest,
  guided: boolean,
  { encode, nullCaption }: CaptionSources,
): Promise<Captions> {
  const { prompts = [], promptEmbeds, negativePromptEmbeds, n } = request;
  const negative = guided ? negativesOf(request, nullCaption !== undefined) : [];
  const distinct = [...new Set(negative)];
  const texts = [...prompts, ...distinct];
  const encoded = texts.length > 0 ? await encode(texts) : undefined;
  const promptRows = prompts.map((_, i) => i);
  const negativeRows = negative.map((text) => prompts.length + distinct.indexOf(text));
  let padded: Half | undefined;
  try {
    padded = tf.tidy(() => {
      const rows = (at: number[]) => (encoded && at.length > 0 ? pick(encoded, at) : undefined);
      const cond = promptEmbeds ?? rows(promptRows);
      const uncond = guided ? (negativePromptEmbeds ?? rows(negativeRows) ?? nullHalf(nullCaption, cond)) : undefined;
      return joinHalves([uncond, cond].filter((half) => half !== undefined));
    });
    return {
      ...(await withoutPadding(padded)),
      prompts: promptEmbeds?.prompts ?? textsAt(encoded, promptRows),
      negativePrompts: guided ? (negativePromptEmbeds?.prompts ?? textsAt(encoded, negativeRows)) : [],
      truncated: promptEmbeds ? Array<null>(n).fill(null) : (encoded?.truncated.slice(0, n) ?? []),
    };
  } finally {
    tf.dispose([encoded, padded].flatMap((half) => (half ? [half.embeds, half.mask] : [])));
  }
}

/** What must be encoded for the unguided half, one a picture; nothing where it comes encoded or is the null caption. */
function negativesOf(
  { negativePrompts, negativePromptEmbeds, n }: CaptionRequest,
  hasNullCaption: boolean,
): readonly string[] {
  if (negativePromptEmbeds || (hasNullCaption && !negativePrompts)) return [];
  return negativePrompts ?? Array<string>(n).fill('');
}

/** All that `captionsOf` would have encoded, each text once. */
export function textsToEncode(request: CaptionRequest, guided: boolean, hasNullCaption: boolean): readonly string[] {
  return [...new Set([...(request.prompts ?? []), ...(guided ? negativesOf(request, hasNullCaption) : [])])];
}

/** A prompt as it is encoded, and its tokens without padding. */
export interface PromptLength {
  readonly prompt: string;
  readonly tokens: number;
  readonly truncated: string | null;
}

/** What `captionsOf` would give, but for the tensors. @param measure of prompts that are not encoded */
export async function describeCaptions(
  request: CaptionRequest,
  guided: boolean,
  hasNullCaption: boolean,
  measure: (prompts: readonly string[]) => readonly PromptLength[],
): Promise<CaptionTexts> {
  const { promptEmbeds, negativePromptEmbeds, n } = request;
  const prompts = measure(request.prompts ?? []);
  const negative = measure(guided ? negativesOf(request, hasNullCaption) : []);
  const given = [promptEmbeds, guided ? negativePromptEmbeds : undefined];
  const lengths = await Promise.all(given.map((half) => (half ? longest(half.mask) : 0)));
  return {
    prompts: promptEmbeds?.prompts ?? prompts.map(({ prompt }) => prompt),
    negativePrompts: guided ? (negativePromptEmbeds?.prompts ?? negative.map(({ prompt }) => prompt)) : [],
    truncated: promptEmbeds ? Array<null>(n).fill(null) : prompts.map(({ truncated }) => truncated),
    length: Math.max(...lengths, ...[...prompts, ...negative].map(({ tokens }) => tokens)),
  };
}

function textsAt(encoded: EncodedPrompts | undefined, rows: readonly number[]): readonly string[] {
  return rows.map((row) => encoded?.prompts[row] ?? '');
}

/**
 * Leaves out the columns at the end that are padding in every row. The model gives them a weight of exactly 0 and would
 * project them to keys and values in every block of every step: of 120 tokens a short prompt fills ten.
 */
async function withoutPadding({ embeds, mask }: Half): Promise<Half & { readonly length: number }> {
  const length = await longest(mask);
  const half = tf.tidy(() => ({
    embeds: tf.slice(embeds, [0, 0, 0], [-1, length, -1]),
    mask: tf.slice(mask, [0, 0], [-1, length]),
  }));
  return { ...half, length };
}

/** Columns up to the last that is no padding in some row; 1 at least. */
async function longest(mask: tf.Tensor2D): Promise<number> {
  const [, length] = mask.shape;
  const ones = Array.from(await readTensor(mask));
  return ones.reduce((end, value, i) => (value ? Math.max(end, (i % length) + 1) : end), 1);
}

export function disposeCaptions({ embeds, mask }: Captions): void {
  tf.dispose([embeds, mask]);
}

// a type, so that tf.tidy takes it for a container of tensors
type Half = { readonly embeds: tf.Tensor3D; readonly mask: tf.Tensor2D };

function pick({ embeds, mask }: Half, rows: readonly number[]): Half {
  const at = tf.tensor1d([...rows], 'int32');
  return { embeds: tf.gather(embeds, at), mask: tf.gather(mask, at) };
}

/** @returns the null caption for each prompt, under the prompt's mask. */
function nullHalf(nullCaption: tf.Tensor2D | undefined, cond: Half | undefined): Half | undefined {
  if (!nullCaption || !cond) return undefined;
  const [n, length] = cond.mask.shape;
  assertShape('the null caption', nullCaption.shape, [length, cond.embeds.shape[2]]);
  return { embeds: tf.tile(tf.expandDims(nullCaption, 0) as tf.Tensor3D, [n, 1, 1]), mask: cond.mask.clone() };
}

/** @throws ShapeError when encoded prompts and negative ones differ in length or width. */
function joinHalves(halves: readonly Half[]): Half {
  const [first] = halves;
  if (!first) throw new RangeError('there is no caption');
  const [, length, width] = first.embeds.shape;
  for (const { embeds, mask } of halves) {
    assertShape('prompt embeds', embeds.shape, [null, length, width]);
    assertShape('prompt mask', mask.shape, [embeds.shape[0], length]);
  }
  return {
    embeds: tf.concat(halves.map(({ embeds }) => embeds)) as tf.Tensor3D,
    mask: tf.concat(halves.map(({ mask }) => tf.cast(mask, 'int32'))) as tf.Tensor2D,
  };
}
