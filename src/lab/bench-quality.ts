import { checkWhole } from '../cache/stage-planner.ts';
import { OptionError } from '../errors.ts';
import type { DiTGenerateOptions, DiTPipeline } from '../pipelines/dit-pipeline.ts';
import type { PixelImage } from '../pipelines/image.ts';
import type { DiTRunDescription } from '../pipelines/report.ts';
import { paperMethods, type SamplingMethod, uncachedSteps } from './bench-methods.ts';
import { type BenchProgress, BlockCount } from './bench-progress.ts';
import { type BenchPicture, type MethodQuality, MethodTally } from './method-tally.ts';

export interface QualityOptions
  extends Pick<DiTGenerateOptions, 'numInferenceSteps' | 'guidanceScale' | 'sampler' | 'signal'> {
  /** A picture each, its class the next one in turn. Default 0 … 63. */
  readonly seeds?: readonly number[] | undefined;
  /** Uncached steps of the picture that all are judged by. Default 250, as facebookresearch/DiT samples. */
  readonly referenceSteps?: number | undefined;
  /** What is compared, besides the uncached model. Default: `paperMethods`. */
  readonly methods?: readonly SamplingMethod[] | undefined;
  /** Pictures that run through the model together. Default 8. */
  readonly batchSize?: number | undefined;
  /** Called after each step. */
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
  /** Called, and awaited, with what each method has made of a batch; the reference comes first. */
  readonly onPictures?: ((made: MethodPictures) => void | Promise<void>) | undefined;
}

/** Pictures of one method; `first` is the index of the first one's seed. */
export interface MethodPictures {
  readonly method: string;
  readonly first: number;
  readonly images: readonly PixelImage[];
}

/** How far methods move pictures, each made from the same initial noise. */
export interface QualityReport
  extends Pick<
    DiTRunDescription,
    'model' | 'backend' | 'numerics' | 'sampler' | 'guidanceScale' | 'seeds' | 'classLabels'
  > {
  readonly numInferenceSteps: number;
  readonly batchSize: number;
  readonly reference: { readonly numInferenceSteps: number; readonly secondsPerPicture: number };
  /** The uncached model first. */
  readonly methods: readonly MethodQuality[];
}

const DEFAULT_SEEDS = Array.from({ length: 64 }, (_, i) => i);
/** Of the models' noise schedules. */
const MAX_STEPS = 1000;
const MAX_BATCH_SIZE = 256;

/**
 * Makes the same pictures by every method, from the same initial noise, and compares them, as 8-bit pixels, with the
 * uncached model's and with those of many uncached steps. All methods take turns batch by batch, so that a machine that
 * slows down favours none. Under a sampler that adds noise, the noise of the steps differs where their number does.
 * @throws OptionError for options out of range; AbortError when stopped.
 */
export async function benchQuality(pipe: DiTPipeline, options: QualityOptions = {}): Promise<QualityReport> {
  const { referenceSteps = 250, batchSize = 8, guidanceScale, sampler } = options;
  const { numInferenceSteps = pipe.defaults.numInferenceSteps } = options;
  const pictures = picturesOf(options.seeds ?? DEFAULT_SEEDS, pipe.transformer.config.numClasses);
  const described = pipe.describe({ ...inputsOf(pictures), numInferenceSteps, guidanceScale, sampler });
  checkWhole('referenceSteps', referenceSteps, numInferenceSteps, MAX_STEPS, 'at least the steps that it judges');
  checkWhole('batchSize', batchSize, 1, MAX_BATCH_SIZE, 'pictures that run together');

  const { depth } = pipe.transformer.config;
  const { methods = paperMethods({ numInferenceSteps, depth }) } = options;
  const tallyOf = (method: SamplingMethod) => new MethodTally(method, pipe.plan(method));
  const [reference, uncached] = [tallyOf(uncachedSteps(referenceSteps)), tallyOf(uncachedSteps(numInferenceSteps))];
  const others = methods.map(tallyOf);
  const blocks = [reference, uncached, ...others].reduce((sum, tally) => sum + tally.blocks, 0);
  const count = new BlockCount(pictures.length * blocks, options.onProgress);

  for (let first = 0; first < pictures.length; first += batchSize) {
    const batch = pictures.slice(first, first + batchSize);
    const made = (tally: MethodTally) => make(pipe, tally, batch, { ...options, first, count });
    const best = await made(reference);
    const plain = await made(uncached);
    uncached.compare(batch, plain, { reference: best, uncached: null });
    for (const tally of others) tally.compare(batch, await made(tally), { reference: best, uncached: plain });
  }
  const secondsPerPicture = reference.secondsPer(pictures.length);
  return {
    ...settingOf(described),
    numInferenceSteps,
    batchSize,
    reference: { numInferenceSteps: referenceSteps, secondsPerPicture },
    methods: [uncached, ...others].map((tally) => tally.row(uncached)),
  };
}

function picturesOf(seeds: readonly number[], numClasses: number): readonly BenchPicture[] {
  if (seeds.length === 0) throw new OptionError('seeds: expected at least one, got none');
  return seeds.map((seed, i) => ({ classLabel: i % numClasses, seed }));
}

function inputsOf(pictures: readonly BenchPicture[]): { classLabels: number[]; seed: number[] } {
  return { classLabels: pictures.map(({ classLabel }) => classLabel), seed: pictures.map(({ seed }) => seed) };
}

type SharedSetting = 'model' | 'backend' | 'numerics' | 'sampler' | 'guidanceScale' | 'seeds' | 'classLabels';

function settingOf(described: DiTRunDescription): Pick<DiTRunDescription, SharedSetting> {
  const { model, backend, numerics, sampler, guidanceScale, seeds, classLabels } = described;
  return { model, backend, numerics, sampler, guidanceScale, seeds, classLabels };
}

type BatchOptions = QualityOptions & { readonly first: number; readonly count: BlockCount };

/** A batch by one method; its time is noted. */
async function make(
  pipe: DiTPipeline,
  tally: MethodTally,
  batch: readonly BenchPicture[],
  { first, count, guidanceScale, sampler, signal, onPictures }: BatchOptions,
): Promise<readonly PixelImage[]> {
  const { name, numInferenceSteps, cache } = tally.method;
  const onStep = count.steps(tally.plan, `${name}, pictures ${first + 1}–${first + batch.length}`, batch.length);
  const method = { numInferenceSteps, cache, guidanceScale, sampler };
  const { images, report } = await pipe.generate({ ...inputsOf(batch), ...method, signal, onStep });
  tally.spend(report.samplingSeconds);
  await onPictures?.({ method: name, first, images });
  return images;
}
