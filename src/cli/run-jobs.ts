import {
  type CachePolicy,
  type DiTResult,
  type GenerationReport,
  NumericsError,
  OptionError,
  type Painter,
  type PixArtReport,
  type PixArtResult,
  type PixelImage,
  type SamplerName,
  ShapeError,
  type StepEvent,
} from '../index.ts';
import { ProgressLine } from './progress.ts';

/** One picture to make. */
export interface Job {
  /** What the model is told. */
  readonly subject: string;
  readonly seed: number;
  /** Pixels, where the model paints several sizes. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

export interface RunSettings {
  readonly numInferenceSteps: number | undefined;
  readonly timesteps?: readonly number[] | undefined;
  readonly guidanceScale: number | undefined;
  readonly sampler?: SamplerName | undefined;
  readonly eta?: number | undefined;
  readonly cache?: CachePolicy | 'auto' | undefined;
  readonly quiet: boolean;
  /** Stands before the progress bar. */
  readonly title?: string;
  readonly signal?: AbortSignal;
  /** Pictures that run through the model together. Default 8. */
  readonly batchSize?: number;
  /** Whether the result has the pictures, which `onPictures` gets either way. Default true. */
  readonly keepPictures?: boolean;
  /** Called, and awaited, before the pictures from `first` to `end` − 1 are made together. */
  readonly beforeBatch?: ((first: number, end: number) => Promise<void>) | undefined;
  /** Where it is given, a picture that cannot be made does not stop the others. */
  readonly onFailure?: ((index: number, error: Error) => void) | undefined;
  /** Called, and awaited, after each step of the pictures from `first` on. */
  readonly onStep?: ((event: StepEvent, first: number) => Promise<void>) | undefined;
  /** Called, and awaited, when the pictures from `first` on are made. */
  readonly onPictures?: ((images: readonly PixelImage[], first: number) => Promise<void>) | undefined;
}

/** Pictures that run through the model together, unless the caller says. */
export const BATCH_SIZE = 8;

/** What pictures and reports of either pipeline are. */
export type Made = DiTResult | PixArtResult;

interface Batch {
  readonly first: number;
  readonly jobs: readonly Job[];
}

/** Makes all pictures, in batches; the report is the first batch's, with the pictures and times of all. */
export async function runJobs(painter: Painter, jobs: readonly Job[], settings: RunSettings): Promise<Made> {
  const { batchSize = BATCH_SIZE, quiet, title = 'Sampling' } = settings;
  const results: Made[] = [];
  const progress = quiet ? undefined : new ProgressLine(title);
  const run = async ({ first, jobs: batch }: Batch): Promise<void> => {
    const result = await runBatch(painter, batch, settings, async (event) => {
      const { step, numInferenceSteps: steps, cached } = event;
      const done = (first + (batch.length * (step + 1)) / steps) / jobs.length;
      progress?.update(done, `step ${step + 1}/${steps} ${cached ? 'cached' : 'full'}`);
      await settings.onStep?.(event, first);
    });
    progress?.end();
    await settings.onPictures?.(result.images, first);
    results.push(settings.keepPictures === false ? ({ ...result, images: [] } as Made) : result);
  };
  try {
    for (const batch of batchesOf(jobs, batchSize)) {
      await settings.beforeBatch?.(batch.first, batch.first + batch.jobs.length);
      await eachAlone(batch, run, settings.onFailure);
    }
  } finally {
    progress?.end();
  }
  return together(results);
}

/** As many as run together, of one size. */
function batchesOf(jobs: readonly Job[], batchSize: number): Batch[] {
  const batches: { first: number; jobs: Job[] }[] = [];
  for (const [i, job] of jobs.entries()) {
    const last = batches.at(-1);
    const fits = last?.jobs[0]?.width === job.width && last?.jobs[0]?.height === job.height;
    if (last && fits && last.jobs.length < batchSize) last.jobs.push(job);
    else batches.push({ first: i, jobs: [job] });
  }
  return batches;
}

/** Runs a batch; where it fails and a failure may be passed over, each of its pictures alone. */
async function eachAlone(
  batch: Batch,
  run: (batch: Batch) => Promise<void>,
  onFailure: RunSettings['onFailure'],
): Promise<void> {
  try {
    await run(batch);
  } catch (error) {
    const isOfPicture = error instanceof NumericsError || error instanceof OptionError || error instanceof ShapeError;
    if (!onFailure || !isOfPicture) throw error;
    if (batch.jobs.length === 1) onFailure(batch.first, error);
    else
      for (const [i, job] of batch.jobs.entries())
        await eachAlone({ first: batch.first + i, jobs: [job] }, run, onFailure);
  }
}

function runBatch(
  painter: Painter,
  batch: readonly Job[],
  { numInferenceSteps, timesteps, guidanceScale, sampler, eta, cache, signal }: RunSettings,
  onStep: (event: StepEvent) => Promise<void>,
): Promise<Made> {
  const { width, height } = batch[0] ?? {};
  return painter.paint(
    batch.map(({ subject }) => subject),
    {
      seed: batch.map(({ seed }) => seed),
      ...{ numInferenceSteps, timesteps, guidanceScale, sampler, eta, cache, width, height, signal, onStep },
    },
  );
}

function together(results: readonly Made[]): Made {
  const [first] = results;
  if (!first) throw new OptionError('no picture could be made; see the reasons above');
  const images = results.flatMap((result) => result.images);
  const reports = results.map(({ report }) => report);
  if (!isOfPrompts(first.report)) {
    const classLabels = reports.flatMap((report) => (isOfPrompts(report) ? [] : report.classLabels));
    return { images, report: { ...first.report, ...shared(reports), classLabels } };
  }
  const ofPrompts = reports.filter(isOfPrompts);
  const texts = {
    prompts: ofPrompts.flatMap(({ prompts }) => prompts),
    negativePrompts: ofPrompts.flatMap(({ negativePrompts }) => negativePrompts),
    truncated: ofPrompts.flatMap(({ truncated }) => truncated),
    encodeSeconds: ofPrompts.reduce((sum, { encodeSeconds }) => sum + encodeSeconds, 0),
  };
  return { images, report: { ...first.report, ...shared(reports), ...texts } };
}

type Report = GenerationReport | PixArtReport;

function isOfPrompts(report: Report): report is PixArtReport {
  return 'prompts' in report;
}

function shared(reports: readonly Report[]) {
  const total = (seconds: (report: Report) => number) => reports.reduce((sum, report) => sum + seconds(report), 0);
  return {
    seeds: reports.flatMap(({ seeds }) => seeds),
    stepSeconds: reports.flatMap(({ stepSeconds }) => stepSeconds),
    samplingSeconds: total(({ samplingSeconds }) => samplingSeconds),
    decodeSeconds: total(({ decodeSeconds }) => decodeSeconds),
  };
}
