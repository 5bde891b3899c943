import * as tf from '@tensorflow/tfjs-core';
import { assertShape } from '../shape.ts';
import type { PixArtGenerateOptions } from './pixart-options.ts';
import type { EncodedPrompts } from './prompt-encoder.ts';
import type { PixArtReport } from './report.ts';

/** What the model attends to in all steps of a run, [uncond, cond] with guidance; freed by `disposeCaptions`. */
export interface Captions extends Pick<PixArtReport, 'prompts' | 'negativePrompts' | 'truncated'> {
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
  const usesNull = nullCaption !== undefined && !request.negativePrompts && !negativePromptEmbeds;
  const negative =
    guided && !usesNull && !negativePromptEmbeds ? (request.negativePrompts ?? Array<string>(n).fill('')) : [];
  const distinct = [...new Set(negative)];
  const texts = [...prompts, ...distinct];
  const encoded = texts.length > 0 ? await encode(texts) : undefined;
  try {
    const rows = (indices: number[]): Half | undefined =>
      encoded && indices.length > 0 ? pick(encoded, indices) : undefined;
    const cond = promptEmbeds ?? rows(prompts.map((_, i) => i));
    const drawn = rows(negative.map((text) => prompts.length + distinct.indexOf(text)));
    const uncond = guided ? (negativePromptEmbeds ?? drawn ?? nullHalf(nullCaption, cond)) : undefined;
    const halves = [uncond, cond].filter((half) => half !== undefined);
    const joined = joinHalves(halves);
    tf.dispose(
      halves
        .filter((half) => half !== promptEmbeds && half !== negativePromptEmbeds)
        .map((half) => [half.embeds, half.mask]),
    );
    return {
      ...joined,
      prompts: promptEmbeds?.prompts ?? encoded?.prompts.slice(0, n) ?? [],
      negativePrompts: guided ? (negativePromptEmbeds?.prompts ?? request.negativePrompts ?? []) : [],
      truncated: promptEmbeds ? Array<null>(n).fill(null) : (encoded?.truncated.slice(0, n) ?? []),
    };
  } finally {
    tf.dispose(encoded ? [encoded.embeds, encoded.mask] : []);
  }
}

export function disposeCaptions({ embeds, mask }: Captions): void {
  tf.dispose([embeds, mask]);
}

interface Half {
  readonly embeds: tf.Tensor3D;
  readonly mask: tf.Tensor2D;
}

function pick({ embeds, mask }: Half, indices: readonly number[]): Half {
  return tf.tidy(() => {
    const at = tf.tensor1d([...indices], 'int32');
    return { embeds: tf.gather(embeds, at), mask: tf.gather(mask, at) };
  });
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
  return tf.tidy(() => ({
    embeds: tf.concat(halves.map(({ embeds }) => embeds)) as tf.Tensor3D,
    mask: tf.concat(halves.map(({ mask }) => mask)) as tf.Tensor2D,
  }));
}
