import * as tf from '@tensorflow/tfjs-core';
import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { encodeFloat32, toFloat32 } from '../checkpoint/dtypes.ts';
import type { StoredTensor, TensorArchive } from '../checkpoint/stored-tensor.ts';
import { readTensor } from '../device.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import { DiT } from '../models/dit.ts';
import { PixArt } from '../models/pixart.ts';
import { positionTable } from '../ops/embeddings.ts';
import { captionsOf, disposeCaptions } from '../pipelines/captions.ts';
import { DiTPipeline } from '../pipelines/dit-pipeline.ts';
import { torchNoise } from '../pipelines/noise.ts';
import type { PixArtPipeline } from '../pipelines/pixart-pipeline.ts';
import type { RunTimes } from '../pipelines/report.ts';
import type { RunOptions } from '../pipelines/run-options.ts';
import type { Shape } from '../shape.ts';
import type { PaintedFloats, PaintedRun } from './bench-torch.ts';
import { type TorchCase, WorkloadInputs } from './workload.ts';

export interface ImageSetting {
  readonly pipe: DiTPipeline | PixArtPipeline;
  /** Classes of a DiT or prompts for a PixArt, one a picture. */
  readonly subjects: readonly string[];
  /** Default: the pipeline's; so is the next. */
  readonly numInferenceSteps?: number | undefined;
  readonly guidanceScale?: number | undefined;
}

/** Whole pictures under DDIM, of the same noise each time; what they are of is encoded before. */
export interface ImageWorkload extends TorchCase {
  readonly task: 'image';
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  run(options: Pick<RunOptions, 'cache' | 'signal'>): Promise<PaintedRun & PaintedFloats>;
  /** Leaves the pipeline to its owner. */
  dispose(): void;
}

/** What a checkpoint is to be opened with: DDIM on its noise schedule, which clips only where the checkpoint says so. */
export function underDDIM<C extends OpenedCheckpoint>(checkpoint: C): C {
  // another scheduler's settings do not say it, and diffusers' DDIMScheduler would clip latents then
  return { ...checkpoint, scheduler: { clip_sample: false, ...checkpoint.scheduler } };
}

/**
 * @param checkpoint `underDDIM`, which `pipe` was made of; stays open as long as the tensors are read
 * @throws OptionError for steps, guidance or subjects that will not do
 */
export async function imageWorkload(checkpoint: OpenedCheckpoint, setting: ImageSetting): Promise<ImageWorkload> {
  const { pipe, subjects } = setting;
  const { numInferenceSteps = pipe.defaults.numInferenceSteps, guidanceScale = pipe.defaults.guidanceScale } = setting;
  const { config } = pipe.transformer;
  const inputs = new WorkloadInputs();
  const noise = await givenNoise(inputs, [subjects.length, config.inputSize, config.inputSize, config.inChannels]);
  const sampling = { sampler: 'ddim', numInferenceSteps, guidanceScale, latents: noise, seed: 0 } as const;
  const guided = guidanceScale > 1;
  const painted =
    pipe instanceof DiTPipeline
      ? await ofClasses(pipe, { subjects, guided, inputs })
      : await ofPrompts(pipe, { subjects, guided, inputs });
  const { model, parameters, guidedChannels } = painted;
  const torch = {
    ...{ transformer: { ...config, latentPixels: pipe.vae.scale }, vae: pipe.vae.config },
    ...{ scheduler: checkpoint.scheduler, numInferenceSteps, guidanceScale },
    ...{ order: guided ? painted.order : ['cond'], guidedChannels },
  };
  return {
    ...{ task: 'image', model, config: torch, numInferenceSteps, guidanceScale },
    tensors: [...allWeights(checkpoint, parameters), ...inputs.tensors],
    run: (options) => timedRun(painted.paint, { ...sampling, ...options }),
    dispose: () => {
      inputs.dispose();
      painted.dispose();
    },
  };
}

type Paint = (
  options: RunOptions,
) => Promise<{ images: readonly tf.Tensor3D[]; report: Pick<RunTimes, 'decodeSeconds'> }>;

/** What the two models differ in. */
interface Painted extends Pick<TorchCase, 'model'> {
  readonly parameters: ReadonlyMap<string, Shape>;
  /** Of a guided batch's halves. */
  readonly order: readonly ('cond' | 'uncond')[];
  readonly guidedChannels: number;
  readonly paint: Paint;
  dispose(): void;
}

interface Subjects extends Pick<ImageSetting, 'subjects'> {
  readonly guided: boolean;
  readonly inputs: WorkloadInputs;
}

async function ofClasses(pipe: DiTPipeline, { subjects, guided, inputs }: Subjects): Promise<Painted> {
  const { config } = pipe.transformer;
  const { classLabels } = pipe.describe({ classLabels: subjects });
  const labels = guided ? [...classLabels, ...classLabels.map(() => config.numClasses)] : classLabels;
  await inputs.given('labels', [labels.length], labels);
  const side = config.inputSize / config.patchSize;
  const table = positionTable(config.hiddenSize, side, side);
  await inputs.given('positions', table.shape, await readTensor(table)).finally(() => table.dispose());
  return {
    ...{ model: 'dit', order: ['cond', 'uncond'], parameters: DiT.parameterShapes(config) },
    guidedChannels: pipe.numerics === 'original' ? Math.min(3, config.inChannels) : config.inChannels,
    paint: (options) => pipe.generateFloats({ ...options, classLabels }),
    dispose: () => {},
  };
}

async function ofPrompts(pipe: PixArtPipeline, { subjects, guided, inputs }: Subjects): Promise<Painted> {
  const { config } = pipe.transformer;
  const n = subjects.length;
  const request = { prompts: subjects, negativePrompts: undefined, n };
  const encode = (prompts: readonly string[]) => pipe.encodePrompts(prompts);
  const captions = await captionsOf(request, guided, { encode, nullCaption: undefined });
  const { embeds, mask } = captions;
  await inputs.given('captions', embeds.shape, await readTensor(embeds));
  await inputs.given('mask', mask.shape, await readTensor(mask));
  const half = (from: number, prompts: readonly string[]) => ({
    embeds: tf.slice(embeds, [from, 0, 0], [n, -1, -1]),
    mask: tf.slice(mask, [from, 0], [n, -1]),
    prompts,
  });
  const negativePromptEmbeds = guided ? half(0, captions.negativePrompts) : undefined;
  const promptEmbeds = half(guided ? n : 0, captions.prompts);
  disposeCaptions(captions);
  return {
    ...{ model: 'pixart', order: ['uncond', 'cond'], parameters: PixArt.parameterShapes(config) },
    guidedChannels: config.inChannels,
    paint: (options) => pipe.generateFloats({ ...options, promptEmbeds, negativePromptEmbeds }),
    dispose: () => {
      for (const held of [promptEmbeds, negativePromptEmbeds]) if (held) tf.dispose([held.embeds, held.mask]);
    },
  };
}

async function timedRun(paint: Paint, options: RunOptions): Promise<PaintedRun & PaintedFloats> {
  let sampling = 0;
  let latents = { shape: [] as Shape, values: new Float32Array() };
  const start = performance.now();
  const { images, report } = await paint({
    ...options,
    onStep: async ({ step, latents: x }) => {
      if (step + 1 < (options.numInferenceSteps ?? 0)) return;
      latents = { shape: x.shape, values: Float32Array.from(await readTensor(x)) };
      sampling = (performance.now() - start) / 1000;
    },
  });
  const stacked = tf.stack([...images]);
  tf.dispose([...images]);
  const values = Float32Array.from(await readTensor(stacked));
  stacked.dispose();
  return { sampling, decoding: report.decodeSeconds, latents, images: { shape: stacked.shape, values } };
}

async function givenNoise(inputs: WorkloadInputs, shape: [number, number, number, number]): Promise<tf.Tensor4D> {
  const drawn = torchNoise(0, shape[0])(shape);
  return inputs.given<tf.Tensor4D>('latents', shape, await readTensor(drawn)).finally(() => drawn.dispose());
}

/** Of the transformer, and of the autoencoder under `vae.`. */
function allWeights({ transformer, vae }: OpenedCheckpoint, parameters: ReadonlyMap<string, Shape>): StoredTensor[] {
  return [
    ...weightsOf(transformer.archive, parameters),
    ...weightsOf(vae.archive, AutoencoderKL.parameterShapes(vae.config), 'vae.'),
  ];
}

/** Those that the model has, float32. */
function weightsOf(archive: TensorArchive, parameters: ReadonlyMap<string, Shape>, prefix = ''): StoredTensor[] {
  const used = [...archive.tensors.values()].filter(({ name }) => parameters.has(name));
  return used.map((stored) => ({
    ...{ name: prefix + stored.name, dtype: 'F32', shape: stored.shape },
    read: async () => encodeFloat32(toFloat32(await stored.read(), stored.dtype), 'F32'),
  }));
}
