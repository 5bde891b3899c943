import { type CachePlan, countBlocks } from '../cache/plan.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import { OptionError } from '../errors.ts';
import type { PixelImage } from '../pipelines/image.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import type { RunDescription } from '../pipelines/report.ts';
import type { SamplerName } from '../schedulers/samplers.ts';
import { paperMethods, type SamplingMethod, uncachedSteps } from './bench-methods.ts';
import { type BenchProgress, BlockCount } from './bench-progress.ts';
import { type BenchPicture, type MethodQuality, MethodTally } from './method-tally.ts';
import { prepareSubjects, type ReportedRun, reportedRun, subjectsInTurn } from './subjects.ts';

export interface QualityOptions
  extends Pick<PaintOptions, 'numInferenceSteps' | 'timesteps' | 'guidanceScale' | 'sampler' | 'signal'> {
  /** A picture each, its subject the next one in turn. Default 0 … 63. */
  readonly seeds?: readonly number[] | undefined;
  /** Classes or prompts. Default: all classes. */
  readonly subjects?: readonly string[] | undefined;
  /**
   * Uncached steps of the picture that all are judged by. Default 250, as facebookresearch/DiT samples; under the samplers
   * of an LCM none, since a model that was distilled to take few steps does not paint better in many.
   */
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
export interface QualityReport extends ReportedRun, Pick<RunDescription, 'seeds'> {
  /** One a picture, as the seeds. */
  readonly subjects: readonly string[];
  readonly numInferenceSteps: number;
  readonly batchSize: number;
  /** Null where there is none. */
  readonly reference: { readonly numInferenceSteps: number; readonly secondsPerPicture: number } | null;
  /** The uncached model first. */
  readonly methods: readonly MethodQuality[];
}

const DEFAULT_SEEDS = Array.from({ length: 64 }, (_, i) => i);
const DEFAULT_REFERENCE_STEPS = 250;
/** Of the models' noise schedules. */
const MAX_STEPS = 1000;
const MAX_BATCH_SIZE = 256;

/**
 * Makes the same pictures by every method, from the same initial noise, and compares them, as 8-bit pixels, with the
 * uncached model's and with those of many uncached steps. All methods take turns batch by batch, so that a machine that
 * slows down favours none. Under a sampler that adds noise at each step, methods of as many steps as the uncached model
 * get the same noise, too; for others the same numbers fall on other timesteps. Prompts are encoded once, before.
 * @throws OptionError for options out of range; AbortError when stopped.
 */
export async function benchQuality(painter: Painter, options: QualityOptions = {}): Promise<QualityReport> {
  const { batchSize = 8, guidanceScale, sampler } = options;
  const { numInferenceSteps, given } = countedSteps(painter, options);
  const pictures = picturesOf(painter, options);
  const subjects = subjectsOf(pictures);
  const ofMethods = { guidanceScale, sampler, seed: pictures.map(({ seed }) => seed) };
  const described = await painter.describe(subjects, { ...ofMethods, ...given });
  checkWhole('batchSize', batchSize, 1, MAX_BATCH_SIZE, 'pictures that run together');
  const tallies = talliesOf(painter, options, numInferenceSteps, described.sampler);
  const { reference, uncached, others } = tallies;
  if (reference) await painter.describe(subjects, { ...ofMethods, ...reference.method }); // the sampler may take fewer steps
  await prepareSubjects(painter, subjects, options);
  const cold = pictures.slice(0, reference ? 0 : batchSize); // with a reference, its first run warms up
  const blocks = pictures.length * blocksOf(tallies) + cold.length * uncached.expectedBlocks;
  const count = new BlockCount(blocks, options.onProgress);
  if (cold.length > 0) await warmUp(painter, uncached, cold, { ...options, first: 0, count });

  for (let first = 0; first < pictures.length; first += batchSize) {
    const batch = pictures.slice(first, first + batchSize);
    const made = (tally: MethodTally) => make(painter, tally, batch, { ...options, first, count });
    const best = reference && (await made(reference));
    const plain = await made(uncached);
    uncached.compare(batch, plain, { reference: best, uncached: null });
    for (const tally of others) tally.compare(batch, await made(tally), { reference: best, uncached: plain });
  }
  return {
    ...reportedRun(described),
    ...{ seeds: described.seeds, subjects, numInferenceSteps, batchSize },
    reference: reference && {
      numInferenceSteps: reference.method.numInferenceSteps,
      secondsPerPicture: reference.secondsPer(pictures.length),
    },
    methods: [uncached, ...others].map((tally) => tally.row(uncached)),
  };
}

interface Tallies {
  readonly reference: MethodTally | null;
  readonly uncached: MethodTally;
  readonly others: readonly MethodTally[];
}

function talliesOf(
  { pipe }: Painter,
  options: QualityOptions,
  numInferenceSteps: number,
  sampler: SamplerName,
): Tallies {
  const isConsistency = sampler === 'lcm' || sampler === 'lcm-original';
  const { referenceSteps = isConsistency ? undefined : DEFAULT_REFERENCE_STEPS } = options;
  if (referenceSteps !== undefined)
    checkWhole('referenceSteps', referenceSteps, numInferenceSteps, MAX_STEPS, 'at least the steps that it judges');
  const { depth } = pipe.transformer.config;
  const { methods = paperMethods(pipe.planSetting({ ...stepsOf({ numInferenceSteps }, options), sampler })) } = options;
  const tallyOf = (method: SamplingMethod) =>
    new MethodTally(
      method,
      expectedBlocks(pipe.plan({ cache: method.cache, ...stepsOf(method, options), sampler }), method, depth),
    );
  return {
    reference: referenceSteps === undefined ? null : tallyOf(uncachedSteps(referenceSteps)),
    uncached: tallyOf(uncachedSteps(numInferenceSteps)),
    others: methods.map(tallyOf),
  };
}

/** T, and what of the two the caller gave: both are refused where it is used. */
function countedSteps({ pipe }: Painter, { timesteps, numInferenceSteps }: QualityOptions) {
  if (timesteps) return { numInferenceSteps: timesteps.length, given: { timesteps, numInferenceSteps } };
  const steps = numInferenceSteps ?? pipe.defaults.numInferenceSteps;
  return { numInferenceSteps: steps, given: { numInferenceSteps: steps } };
}

/** Methods of as many steps as timesteps were given take these; others lay their own. */
function stepsOf({ numInferenceSteps }: Pick<SamplingMethod, 'numInferenceSteps'>, { timesteps }: QualityOptions) {
  return timesteps?.length === numInferenceSteps ? { timesteps } : { numInferenceSteps };
}

/** For one picture and guidance half; all where the method decides as it runs. */
function expectedBlocks(plan: CachePlan | null, { numInferenceSteps }: SamplingMethod, depth: number): number {
  return plan ? countBlocks(plan).computed : numInferenceSteps * depth;
}

/** For one picture and guidance half. */
function blocksOf({ reference, uncached, others }: Tallies): number {
  return [uncached, ...others].reduce((sum, tally) => sum + tally.expectedBlocks, reference?.expectedBlocks ?? 0);
}

function picturesOf(painter: Painter, options: QualityOptions): readonly BenchPicture[] {
  const { seeds = DEFAULT_SEEDS } = options;
  if (seeds.length === 0) throw new OptionError('seeds: expected at least one, got none');
  const subjects = subjectsInTurn(painter, options.subjects, seeds.length);
  return seeds.map((seed, i) => ({ subject: subjects[i] ?? '', seed }));
}

function subjectsOf(pictures: readonly BenchPicture[]): string[] {
  return pictures.map(({ subject }) => subject);
}

type BatchOptions = QualityOptions & { readonly first: number; readonly count: BlockCount };

/** A run that is not counted: the first one of a process is slow, and would make all methods but its own look fast. */
async function warmUp(
  painter: Painter,
  { method, expectedBlocks: blocks }: MethodTally,
  batch: readonly BenchPicture[],
  options: BatchOptions,
): Promise<void> {
  await make(painter, new MethodTally({ ...method, name: 'warm-up' }, blocks), batch, {
    ...options,
    onPictures: undefined,
  });
}

/** A batch by one method; its time is noted. */
async function make(
  painter: Painter,
  tally: MethodTally,
  batch: readonly BenchPicture[],
  options: BatchOptions,
): Promise<readonly PixelImage[]> {
  const { first, count, guidanceScale, sampler, signal, onPictures } = options;
  const { name, cache } = tally.method;
  const onStep = count.steps(`${name}, pictures ${first + 1}–${first + batch.length}`, batch.length);
  const method = { ...stepsOf(tally.method, options), cache, guidanceScale, sampler };
  const seed = batch.map((picture) => picture.seed);
  const { images, report } = await painter.paint(subjectsOf(batch), { ...method, seed, signal, onStep });
  tally.spend(report, batch.length);
  await onPictures?.({ method: name, first, images });
  return images;
}
