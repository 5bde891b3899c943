import { OptionError } from '../errors.ts';
import type { MicroConditions } from '../models/pixart.ts';
import type { PixArtConfig } from '../models/pixart-config.ts';
import { preparePrompt } from '../tokenizers/clean-prompt.ts';
import { closestBin, hasBins } from './aspect-ratio-bins.ts';
import type { PromptEmbeds } from './prompt-embeds.ts';
import type { EncodeOptions } from './prompt-encoder.ts';
import type { RunOptions } from './run-options.ts';

export interface PixArtGenerateOptions extends RunOptions, Pick<EncodeOptions, 'cleanPrompt' | 'onLayer'> {
  /** One picture each. */
  readonly prompt?: string | readonly string[] | undefined;
  /** What pictures should not show: one for all, or one each. Takes effect with guidance. */
  readonly negativePrompt?: string | readonly string[] | undefined;
  /** Instead of `prompt`: encoded before, borrowed. */
  readonly promptEmbeds?: Pick<PromptEmbeds, 'embeds' | 'mask' | 'prompts'> | undefined;
  /** Instead of `negativePrompt`: as many as there are prompts, borrowed. */
  readonly negativePromptEmbeds?: Pick<PromptEmbeds, 'embeds' | 'mask' | 'prompts'> | undefined;
  /** Pixels. Default: the size that the model was trained on. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /**
   * Whether the model paints at the nearest size that it was trained on, and the picture is resized and cropped to the
   * one that was asked for. Default: where the model has such sizes, as in diffusers.
   */
  readonly useResolutionBinning?: boolean | undefined;
}

/** The sizes of a run, in pixels. */
export interface PaintedSize {
  /** Of the finished pictures. */
  readonly width: number;
  readonly height: number;
  /** Of what the model paints. */
  readonly paintedWidth: number;
  readonly paintedHeight: number;
  /** What the model is told, where it is told anything. */
  readonly conditions: MicroConditions | undefined;
}

/** Larger pictures are a slip of the finger: PixArt-α paints up to 1024 × 1024, its longest side 2048. */
const MAX_SIDE = 4096;

/**
 * @param scale pixels a latent position
 * @throws OptionError for sizes that are none, that have no bin, or that are not made of whole patches.
 */
export function sizeOf(
  { inputSize, patchSize, microConditions }: PixArtConfig,
  scale: number,
  numericsAreOriginal: boolean,
  options: Pick<PixArtGenerateOptions, 'width' | 'height' | 'useResolutionBinning'>,
): PaintedSize {
  const { width = inputSize * scale, height = inputSize * scale } = options;
  for (const [name, side] of Object.entries({ width, height })) {
    if (!Number.isInteger(side) || side < 1 || side > MAX_SIDE)
      throw new OptionError(`${name}: expected a whole number of pixels from 1 to ${MAX_SIDE}, got ${side}`);
  }
  const binned = options.useResolutionBinning ?? hasBins(inputSize);
  const bin = binned ? closestBin(inputSize, height, width) : undefined;
  const painted = bin ?? { width, height };
  const step = scale * patchSize;
  if (painted.width % step !== 0 || painted.height % step !== 0) {
    throw new OptionError(
      `width and height: expected multiples of ${step} pixels, got ${width} × ${height}; the next below is ${floored(width, step)} × ${floored(height, step)}`,
    );
  }
  const aspectRatio = numericsAreOriginal && bin ? bin.ratio : painted.height / painted.width;
  return {
    width,
    height,
    paintedWidth: painted.width,
    paintedHeight: painted.height,
    conditions: microConditions ? { height: painted.height, width: painted.width, aspectRatio } : undefined,
  };
}

function floored(side: number, step: number): number {
  return Math.max(step, Math.floor(side / step) * step);
}

/** The prompts of a run and their negative ones, one each. @throws OptionError when there are none, or none fits. */
export function promptsOf(options: PixArtGenerateOptions): {
  prompts: readonly string[] | undefined;
  negativePrompts: readonly string[] | undefined;
  n: number;
} {
  const { prompt, negativePrompt, promptEmbeds, negativePromptEmbeds, cleanPrompt: clean } = options;
  if ((prompt === undefined) === (promptEmbeds === undefined))
    throw new OptionError(
      `prompt and promptEmbeds: expected one of the two, got ${prompt === undefined ? 'none' : 'both'}`,
    );
  if (negativePrompt !== undefined && negativePromptEmbeds !== undefined)
    throw new OptionError('negativePrompt and negativePromptEmbeds: expected one of the two, got both');
  const prompts = prompt === undefined ? undefined : [prompt].flat();
  prompts?.forEach((text, i) => {
    if (preparePrompt(text, { clean }) !== '') return;
    const which = prompts.length > 1 ? `prompt ${i + 1}` : 'prompt';
    const left = text.trim() === '' ? 'is empty' : 'has nothing left after cleaning (cleanPrompt: false leaves it)';
    throw new OptionError(`${which}: ${left}; say what the picture should show`);
  });
  const n = prompts?.length ?? promptEmbeds?.prompts.length ?? 0;
  if (n === 0) throw new OptionError('prompt: expected at least one, got none');
  const negative = negativePrompt === undefined ? undefined : [negativePrompt].flat();
  const negativePrompts = negative?.length === 1 ? Array<string>(n).fill(negative[0] ?? '') : negative;
  const given = negativePrompts?.length ?? negativePromptEmbeds?.prompts.length ?? n;
  if (given !== n) throw new OptionError(`negativePrompt: expected one or ${n}, one a picture, got ${given}`);
  return { prompts, negativePrompts, n };
}
