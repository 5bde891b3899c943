import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import { autoencoderScale } from '../models/autoencoder-config.ts';
import { decoderMemory, ditMemory, type ModelMemory, pixArtMemory } from '../models/memory.ts';
import type { PixArtCheckpoint } from '../models/pixart-checkpoint.ts';
import { PIXART_CAPTION_LENGTH } from '../models/pixart-config.ts';
import type { T5EncoderConfig } from '../models/t5-config.ts';
import { t5Memory } from '../models/t5-memory.ts';
import { sizeOf } from './pixart-options.ts';

/** What a run makes at once. */
export interface MemoryRequest {
  readonly pictures: number;
  /** Whether guidance runs the model on both of its halves. */
  readonly guided: boolean;
  /** Pixels, of a pipeline that paints several sizes. Default: the size that the model was trained on. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** Of the weights in memory. Default: float32. */
  readonly dtype?: WeightDtype | undefined;
}

/**
 * How much memory a checkpoint's models will take: of each its weights and its largest forward (see `peakBytes`). Reads
 * no weights.
 * @returns that of a request; it throws OptionError for a size that the pipeline cannot paint.
 * @throws what opening the text encoder of a PixArt throws.
 */
export async function checkpointMemory(
  checkpoint: OpenedCheckpoint,
): Promise<(request: MemoryRequest) => readonly ModelMemory[]> {
  const { vae } = checkpoint;
  if (checkpoint.pipeline === 'DiTPipeline') {
    const { config } = checkpoint.transformer;
    const { inputSize } = config;
    return ({ pictures, guided, dtype }) => [
      ditMemory(config, guided ? 2 * pictures : pictures, dtype),
      decoderMemory(vae.config, inputSize, inputSize, undefined, dtype),
    ];
  }
  const { config } = checkpoint.transformer;
  const textEncoder = await textEncoderConfig(checkpoint);
  const scale = autoencoderScale(vae.config);
  return ({ pictures, guided, dtype, ...wanted }) => {
    const size = sizeOf(config, scale, checkpoint.numerics === 'original', wanted);
    const [height, width] = [size.paintedHeight / scale, size.paintedWidth / scale];
    const samples = guided ? 2 * pictures : pictures; // and so many prompts, each with its negative one
    return [
      pixArtMemory(config, samples, { height, width, dtype }),
      decoderMemory(vae.config, height, width, undefined, dtype),
      ...(textEncoder ? [t5Memory(textEncoder, samples, PIXART_CAPTION_LENGTH, dtype)] : []),
    ];
  };
}

/** Of the text encoder that a pipeline would use. */
async function textEncoderConfig({
  openTextEncoder,
  tokenizer,
}: PixArtCheckpoint): Promise<T5EncoderConfig | undefined> {
  if (!openTextEncoder || !tokenizer) return undefined;
  const { config, close } = await openTextEncoder();
  await close();
  return config;
}
