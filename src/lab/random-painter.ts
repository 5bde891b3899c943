import * as tf from '@tensorflow/tfjs-core';
import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { PIXART_CAPTION_LENGTH } from '../models/pixart-config.ts';
import { DiTPipeline } from '../pipelines/dit-pipeline.ts';
import type { LoadOptions } from '../pipelines/load-options.ts';
import { classPainter, type Painter, type PromptSettings, promptPainter } from '../pipelines/painter.ts';
import { PixArtPipeline } from '../pipelines/pixart-pipeline.ts';
import type { PromptEmbeds } from '../pipelines/prompt-embeds.ts';
import { randomTensor } from './random-archive.ts';

/** What a PixArt paints whose weights are random, too. */
const RANDOM_CAPTION = 'a random caption';

/**
 * The painter of a `randomCheckpoint`; the caller disposes `pipe`. A PixArt's only subject is a random caption of 120
 * tokens, the longest that it takes; so is what stands for no caption.
 * @param settings of a PixArt
 */
export async function randomPainter(
  checkpoint: OpenedCheckpoint,
  options: LoadOptions,
  settings: PromptSettings,
): Promise<Painter> {
  if (checkpoint.pipeline === 'DiTPipeline') return classPainter(await DiTPipeline.fromCheckpoint(checkpoint, options));
  const pipe = await PixArtPipeline.fromCheckpoint(checkpoint, options);
  const captions = await randomCaptions([RANDOM_CAPTION, ''], checkpoint.transformer.config.captionChannels);
  await pipe.keepPrompts(captions).finally(() => tf.dispose([captions.embeds, captions.mask]));
  return { ...promptPainter(pipe, settings), allSubjects: [RANDOM_CAPTION] };
}

async function randomCaptions(prompts: readonly string[], captionChannels: number): Promise<PromptEmbeds> {
  const shape: [number, number, number] = [prompts.length, PIXART_CAPTION_LENGTH, captionChannels];
  const { buffer } = await randomTensor('captions', shape, 1).read();
  return {
    embeds: tf.tensor3d(new Float32Array(buffer), shape),
    mask: tf.ones([prompts.length, PIXART_CAPTION_LENGTH], 'int32'),
    prompts,
    encoder: { name: 'random', sha256: [] },
  };
}
