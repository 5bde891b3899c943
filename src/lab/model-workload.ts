import type * as tf from '@tensorflow/tfjs-core';
import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { withWeights } from '../checkpoint/archive.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import { readTensor } from '../device.ts';
import { DiT } from '../models/dit.ts';
import { PixArt } from '../models/pixart.ts';
import { PIXART_CAPTION_LENGTH } from '../models/pixart-config.ts';
import { positionTable } from '../ops/embeddings.ts';
import { tensorsOf, type Workload, WorkloadInputs } from './workload.ts';

/** A timestep in the middle; time does not depend on it. */
const TIMESTEP = 500;
/** Pixels a latent position (the autoencoders of DiT and PixArt-α). */
const LATENT_PIXELS = 8;

/**
 * One forward of a whole model under guidance. The caller disposes it.
 * @param batchSize pictures, two rows each @param dtype of the weights in memory
 */
export async function modelWorkload(
  checkpoint: OpenedCheckpoint,
  batchSize: number,
  dtype?: WeightDtype,
): Promise<Workload> {
  return checkpoint.pipeline === 'DiTPipeline'
    ? ditModel(checkpoint.transformer, batchSize, dtype)
    : pixArtModel(checkpoint.transformer, batchSize, dtype);
}

type TransformerOf<P extends OpenedCheckpoint['pipeline']> = Extract<OpenedCheckpoint, { pipeline: P }>['transformer'];

async function ditModel(
  { config, archive }: TransformerOf<'DiTPipeline'>,
  batchSize: number,
  dtype: WeightDtype | undefined,
): Promise<Workload> {
  const { inputSize: size, inChannels, patchSize, hiddenSize, numClasses } = config;
  const inputs = new WorkloadInputs();
  const rows = 2 * batchSize;
  const latents = await inputs.random<tf.Tensor4D>('latents', [rows, size, size, inChannels]);
  const timesteps = Array<number>(rows).fill(TIMESTEP);
  const labels = timesteps.map((_, row) => (row < batchSize ? row % numClasses : numClasses));
  await inputs.given('timesteps', [rows], timesteps);
  await inputs.given('labels', [rows], labels);
  const table = positionTable(hiddenSize, size / patchSize, size / patchSize);
  await inputs.given('positions', table.shape, await readTensor(table)).finally(() => table.dispose());
  const dit = await withWeights(archive, (weights) => DiT.fromWeights(config, weights), dtype);
  return {
    ...{ task: 'model', model: 'dit', config, count: 1, tensors: tensorsOf(archive, inputs) },
    run: (runner) => dit.predict(latents, timesteps, labels, runner),
    dispose: () => {
      dit.dispose();
      inputs.dispose();
    },
  };
}

async function pixArtModel(
  { config, archive }: TransformerOf<'PixArtPipeline'>,
  batchSize: number,
  dtype: WeightDtype | undefined,
): Promise<Workload> {
  const { inputSize: size, inChannels, captionChannels } = config;
  const inputs = new WorkloadInputs();
  const rows = 2 * batchSize;
  const latents = await inputs.random<tf.Tensor4D>('latents', [rows, size, size, inChannels]);
  const timesteps = Array<number>(rows).fill(TIMESTEP);
  await inputs.given('timesteps', [rows], timesteps);
  const captions = await inputs.random<tf.Tensor3D>('captions', [rows, PIXART_CAPTION_LENGTH, captionChannels]);
  const kept = Array<number>(rows * PIXART_CAPTION_LENGTH).fill(1);
  const mask = await inputs.given<tf.Tensor2D>('mask', [rows, PIXART_CAPTION_LENGTH], kept);
  const pixart = await withWeights(archive, (weights) => PixArt.fromWeights(config, weights), dtype);
  const caption = pixart.projectCaption(captions, mask);
  const pixels = { height: LATENT_PIXELS * size, width: LATENT_PIXELS * size, aspectRatio: 1 };
  return {
    ...{ task: 'model', model: 'pixart', config, count: 1, tensors: tensorsOf(archive, inputs) },
    run: (run) => pixart.predict(latents, timesteps, caption, { size: pixels, ...(run && { run }) }),
    dispose: () => {
      pixart.dispose();
      caption.tokens.dispose();
      caption.bias.dispose();
      inputs.dispose();
    },
  };
}
