import type * as tf from '@tensorflow/tfjs-core';
import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { withWeights } from '../checkpoint/archive.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { Weights } from '../checkpoint/weights.ts';
import { type Block, type Modulation, runAllBlocks } from '../models/block.ts';
import { buildParts, disposeParts, parameterShapesOf } from '../models/build.ts';
import { DiTBlock, type DiTConditioning } from '../models/dit.ts';
import { PixArtBlock, type PixArtConditioning } from '../models/pixart-block.ts';
import { PIXART_CAPTION_LENGTH } from '../models/pixart-config.ts';
import { keyBias } from '../ops/attention.ts';
import { randomArchive } from './random-archive.ts';
import { tensorsOf, type Workload, WorkloadInputs } from './workload.ts';

/** Blocks of one size with weights of their own, so that no cache of the CPU keeps them from one to the next. */
const CHAIN = 4;

export interface BlockOptions {
  /** Pictures; under guidance, each takes two rows. */
  readonly batchSize: number;
  /** Of a row. Default: those of the model's own picture size. */
  readonly tokens?: number | undefined;
  /** Of the weights in memory. Default: float32. */
  readonly dtype?: WeightDtype | undefined;
}

/** A chain of four blocks on random tokens under guidance. The caller disposes it. */
export async function blockWorkload(
  { pipeline, transformer }: OpenedCheckpoint,
  options: BlockOptions,
): Promise<Workload> {
  return pipeline === 'DiTPipeline'
    ? ditBlocks({ ...transformer.config, depth: CHAIN }, options)
    : pixArtBlocks({ ...transformer.config, depth: CHAIN }, options);
}

type ConfigOf<P extends OpenedCheckpoint['pipeline']> = Extract<
  OpenedCheckpoint,
  { pipeline: P }
>['transformer']['config'];

async function ditBlocks(config: ConfigOf<'DiTPipeline'>, options: BlockOptions): Promise<Workload> {
  const inputs = new WorkloadInputs();
  const { rows, tokens } = await tokensOf(config, options, inputs);
  const c = await inputs.random<tf.Tensor2D>('c', [rows, config.hiddenSize]);
  const made = (weights?: Weights) => chain((i) => new DiTBlock(config, weights?.scope(`blocks.${i}`)));
  return chainWorkload<DiTConditioning, Modulation>({
    model: 'dit',
    config,
    inputs,
    made,
    tokens,
    cond: { c },
    dtype: options.dtype,
  });
}

async function pixArtBlocks(config: ConfigOf<'PixArtPipeline'>, options: BlockOptions): Promise<Workload> {
  const inputs = new WorkloadInputs();
  const { rows, tokens } = await tokensOf(config, options, inputs);
  const { hiddenSize } = config;
  const t0 = await inputs.random<tf.Tensor2D>('t0', [rows, 6 * hiddenSize]);
  const caption = await inputs.random<tf.Tensor3D>('caption', [rows, PIXART_CAPTION_LENGTH, hiddenSize]);
  const kept = Array<number>(rows * PIXART_CAPTION_LENGTH).fill(1);
  const mask = await inputs.given<tf.Tensor2D>('mask', [rows, PIXART_CAPTION_LENGTH], kept);
  const cond: Pick<PixArtConditioning, 't0' | 'caption'> = { t0, caption: { tokens: caption, bias: keyBias(mask) } };
  const made = (weights?: Weights) => chain((i) => new PixArtBlock(config, weights?.scope(`blocks.${i}`)));
  const workload = await chainWorkload({ model: 'pixart', config, inputs, made, tokens, cond, dtype: options.dtype });
  const dispose = () => {
    workload.dispose();
    cond.caption.bias.dispose();
  };
  return { ...workload, dispose };
}

interface Chain<C, M extends Modulation> extends Pick<Workload, 'model' | 'config'> {
  readonly inputs: WorkloadInputs;
  readonly made: (weights?: Weights) => readonly ((DiTBlock | PixArtBlock) & Block<C, M>)[];
  readonly tokens: tf.Tensor3D;
  readonly cond: C;
  readonly dtype: WeightDtype | undefined;
}

async function chainWorkload<C, M extends Modulation>(chained: Chain<C, M>): Promise<Workload> {
  const { model, config, inputs, made, tokens, cond, dtype } = chained;
  const partsOf = (blocks: readonly (DiTBlock | PixArtBlock)[]) =>
    blocks.map((layer, i) => ({ path: `blocks.${i}`, layer }));
  const archive = randomArchive(parameterShapesOf(partsOf(made())));
  const build = async (weights: Weights) => {
    const built = made(weights);
    await buildParts(partsOf(built), weights);
    return built;
  };
  const blocks = await withWeights(archive, build, dtype);
  return {
    ...{ task: 'block', model, config, count: CHAIN, tensors: tensorsOf(archive, inputs) },
    run: (runner = runAllBlocks) => runner(blocks, tokens, cond),
    dispose: () => {
      disposeParts(partsOf(blocks));
      inputs.dispose();
    },
  };
}

function chain<B>(make: (index: number) => B): readonly B[] {
  return Array.from({ length: CHAIN }, (_, i) => make(i));
}

async function tokensOf(
  { inputSize, patchSize, hiddenSize }: Workload['config'],
  { batchSize, tokens = (inputSize / patchSize) ** 2 }: BlockOptions,
  inputs: WorkloadInputs,
): Promise<{ rows: number; tokens: tf.Tensor3D }> {
  const rows = 2 * batchSize;
  return { rows, tokens: await inputs.random<tf.Tensor3D>('tokens', [rows, tokens, hiddenSize]) };
}
