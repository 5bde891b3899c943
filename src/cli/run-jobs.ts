import type {
  CachePolicy,
  DiTPipeline,
  DiTResult,
  GenerationReport,
  PixelImage,
  SamplerName,
  StepEvent,
} from '../index.ts';
import { ProgressLine } from './progress.ts';

/** One picture to make. */
export interface Job {
  readonly label: string;
  readonly seed: number;
}

export interface RunSettings {
  readonly numInferenceSteps: number | undefined;
  readonly guidanceScale: number | undefined;
  readonly sampler?: SamplerName | undefined;
  readonly eta?: number | undefined;
  readonly cache?: CachePolicy | undefined;
  readonly quiet: boolean;
  /** Stands before the progress bar. */
  readonly title?: string;
  readonly signal?: AbortSignal;
  /** Pictures that run through the model together. Default 8. */
  readonly batchSize?: number;
  /** Called, and awaited, after each step of the pictures from `first` on. */
  readonly onStep?: ((event: StepEvent, first: number) => Promise<void>) | undefined;
  /** Called, and awaited, when the pictures from `first` on are made. */
  readonly onPictures?: ((images: readonly PixelImage[], first: number) => Promise<void>) | undefined;
}

/** Pictures that run through the model together, unless the caller says. */
export const BATCH_SIZE = 8;

/** Makes all pictures, in batches; the report is the first batch's, with the pictures and times of all. */
export async function runJobs(pipe: DiTPipeline, jobs: readonly Job[], settings: RunSettings): Promise<DiTResult> {
  const { batchSize = BATCH_SIZE, quiet, title = 'Sampling' } = settings;
  const results: DiTResult[] = [];
  const progress = quiet ? undefined : new ProgressLine(title);
  try {
    for (let first = 0; first < jobs.length; first += batchSize) {
      const batch = jobs.slice(first, first + batchSize);
      const result = await runBatch(pipe, batch, settings, async (event) => {
        const { step, numInferenceSteps: steps, cached } = event;
        const done = (first + (batch.length * (step + 1)) / steps) / jobs.length;
        progress?.update(done, `step ${step + 1}/${steps} ${cached ? 'cached' : 'full'}`);
        await settings.onStep?.(event, first);
      });
      progress?.end();
      await settings.onPictures?.(result.images, first);
      results.push(result);
    }
  } finally {
    progress?.end();
  }
  return together(results);
}

function runBatch(
  pipe: DiTPipeline,
  batch: readonly Job[],
  { numInferenceSteps, guidanceScale, sampler, eta, cache, signal }: RunSettings,
  onStep: (event: StepEvent) => Promise<void>,
): Promise<DiTResult> {
  return pipe.generate({
    classLabels: batch.map(({ label }) => label),
    seed: batch.map(({ seed }) => seed),
    numInferenceSteps,
    guidanceScale,
    sampler,
    eta,
    cache,
    signal,
    onStep,
  });
}

function together(results: readonly DiTResult[]): DiTResult {
  const reports = results.map(({ report }) => report);
  const [first] = reports;
  if (!first) throw new RangeError('there is nothing to make');
  const total = (seconds: (report: GenerationReport) => number) =>
    reports.reduce((sum, report) => sum + seconds(report), 0);
  return {
    images: results.flatMap(({ images }) => images),
    report: {
      ...first,
      seeds: reports.flatMap(({ seeds }) => seeds),
      classLabels: reports.flatMap(({ classLabels }) => classLabels),
      stepSeconds: reports.flatMap(({ stepSeconds }) => stepSeconds),
      samplingSeconds: total(({ samplingSeconds }) => samplingSeconds),
      decodeSeconds: total(({ decodeSeconds }) => decodeSeconds),
    },
  };
}
