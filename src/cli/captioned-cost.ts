import {
  PIXART_CAPTION_LENGTH,
  type PixArtCheckpoint,
  type PixArtCost,
  pixArtCost,
  preparePrompt,
  T5Tokenizer,
} from '../index.ts';
import { autoencoderScale } from '../models/autoencoder-config.ts';
import { sizeOf } from '../pipelines/pixart-options.ts';
import type { PromptOptions } from './open-painter.ts';

/** What a forward of a PixArt costs, and what it was counted for. */
export interface CaptionedCost {
  readonly cost: PixArtCost;
  /** Of what the model paints, before it is resized and cropped. */
  readonly paintedWidth: number;
  readonly paintedHeight: number;
  /** Tokens of the longest caption of a run, which all others are padded to. */
  readonly captionLength: number;
  /** Whose it is: the prompts', or the longest that the model takes where there are none or no tokenizer. */
  readonly caption: 'prompts' | 'longest' | 'no tokenizer';
}

/**
 * Reads the tokenizer at most, and no weights.
 * @param guided whether negative prompts are captions, too
 * @throws OptionError for a size that the model cannot paint
 */
export async function captionedCost(
  checkpoint: PixArtCheckpoint,
  options: PromptOptions & { readonly prompt?: readonly string[] },
  guided: boolean,
): Promise<CaptionedCost> {
  const { config } = checkpoint.transformer;
  const scale = autoencoderScale(checkpoint.vae.config);
  const { paintedWidth, paintedHeight } = sizeOf(config, scale, checkpoint.numerics === 'original', options);
  const caption = !options.prompt ? 'longest' : checkpoint.tokenizer ? 'prompts' : 'no tokenizer';
  const { prompt = [], negativePrompt = '', cleanPrompt } = options;
  const texts = guided ? [...prompt, negativePrompt] : prompt;
  const captionLength = caption === 'prompts' ? await longest(checkpoint, texts, cleanPrompt) : PIXART_CAPTION_LENGTH;
  const cost = pixArtCost(config, { height: paintedHeight / scale, width: paintedWidth / scale, captionLength });
  return { cost, paintedWidth, paintedHeight, captionLength, caption };
}

async function longest(
  { tokenizer: folder }: PixArtCheckpoint,
  texts: readonly string[],
  clean: boolean | undefined,
): Promise<number> {
  if (!folder) return PIXART_CAPTION_LENGTH;
  const tokenizer = await T5Tokenizer.fromFolder(folder);
  const lengths = texts.map((text) => {
    const { attentionMask } = tokenizer.encode(preparePrompt(text, { clean }), { maxLength: PIXART_CAPTION_LENGTH });
    return attentionMask.lastIndexOf(1) + 1;
  });
  return Math.max(...lengths);
}
