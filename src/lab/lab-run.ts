import { countBlocks } from '../cache/plan.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import { OptionError } from '../errors.ts';
import type { PixelImage } from '../pipelines/image.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import { type BenchProgress, BlockCount } from './bench-progress.ts';
import { type LabMethod, samplingOf } from './lab-method.ts';
import type { BenchPicture } from './method-tally.ts';
import { prepareSubjects } from './subjects.ts';

/** What a method has made of a batch of pictures, and spent on it. */
export interface LabBatch {
  readonly method: string;
  /** Index of the first picture. */
  readonly first: number;
  /** Wall time of the sampling loop of the batch. */
  readonly samplingSeconds: number;
  /** Multiply-accumulates of the blocks' linears, for one picture and guidance half. */
  readonly macs: number;
  /** Of the batch. */
  readonly peakCachedBytes: number;
  /** Blocks computed at each step, of each row on average. */
  readonly stepBlocks: readonly number[];
}

/** Where batches lie, so that a laboratory that was stopped goes on where it was. */
export interface LabStore {
  has(method: string, first: number): Promise<boolean>;
  save(batch: LabBatch, images: readonly PixelImage[]): Promise<void>;
}

export interface LabOptions extends Pick<PaintOptions, 'guidanceScale' | 'signal'> {
  readonly pictures: readonly BenchPicture[];
  readonly batchSize: number;
  readonly store: LabStore;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

const MAX_BATCH_SIZE = 256;

/**
 * Makes the same pictures by every method, from the same initial noise. The methods take turns batch by batch, so that a
 * machine that slows down, or other work on it, falls on all alike. Batches that the store has are not made again.
 * @throws OptionError before anything is made, where a method cannot run; AbortError when stopped, what is made being
 * stored
 */
export async function runLab(painter: Painter, methods: readonly LabMethod[], options: LabOptions): Promise<void> {
  const { pictures, batchSize, store, onProgress } = options;
  checkWhole('batchSize', batchSize, 1, MAX_BATCH_SIZE, 'pictures that run together');
  if (pictures.length === 0) throw new OptionError('pictures: expected at least one, got none');
  const subjects = pictures.map(({ subject }) => subject);
  for (const method of methods)
    await painter.describe(subjects.slice(0, batchSize), { ...runOf(method, options), seed: 0 });
  const wanted = await missing(methods, options);
  const work = wanted.reduce((sum, { method, batch }) => sum + batch.length * expectedBlocks(painter, method), 0);
  if (wanted.length === 0) return;
  await prepareSubjects(painter, [...new Set(subjects)], options);
  const count = new BlockCount(work, onProgress);
  await warmUp(painter, pictures.slice(0, batchSize), options);
  for (const { method, batch, first } of wanted) {
    const what = `${method.name}, pictures ${first + 1}–${first + batch.length}`;
    const { images, report } = await painter.paint(
      batch.map(({ subject }) => subject),
      { ...runOf(method, options), seed: batch.map(({ seed }) => seed), onStep: count.steps(what, batch.length) },
    );
    const { samplingSeconds, macs, peakCachedBytes, stepBlocks } = report;
    await store.save(
      { method: method.name, first, samplingSeconds, macs: macs?.linear ?? 0, peakCachedBytes, stepBlocks },
      images,
    );
  }
}

interface WantedBatch {
  readonly method: LabMethod;
  readonly batch: readonly BenchPicture[];
  readonly first: number;
}

async function missing(
  methods: readonly LabMethod[],
  { pictures, batchSize, store }: LabOptions,
): Promise<WantedBatch[]> {
  const wanted: WantedBatch[] = [];
  for (let first = 0; first < pictures.length; first += batchSize) {
    const batch = pictures.slice(first, first + batchSize);
    for (const method of methods) if (!(await store.has(method.name, first))) wanted.push({ method, batch, first });
  }
  return wanted;
}

/** The first runs of a process are slow, and would make their method look slow. */
async function warmUp(painter: Painter, batch: readonly BenchPicture[], options: LabOptions): Promise<void> {
  const { guidanceScale, signal } = options;
  const seed = batch.map((picture) => picture.seed);
  const subjects = batch.map(({ subject }) => subject);
  await painter.paint(subjects, { numInferenceSteps: 2, sampler: 'ddim', guidanceScale, signal, seed });
}

function runOf(method: LabMethod, { guidanceScale, signal }: LabOptions) {
  return { ...samplingOf(method), guidanceScale, signal };
}

/** Blocks that a run will compute, of one picture and guidance half; all where the method decides as it runs. */
export function expectedBlocks({ pipe }: Painter, method: LabMethod): number {
  const { depth } = pipe.transformer.config;
  const plan = pipe.plan(samplingOf(method));
  return plan ? countBlocks(plan).computed : (method.timesteps?.length ?? method.numInferenceSteps) * depth;
}
