import type { CachePolicy, DiTPipeline, DiTResult, GenerationReport, PixelImage, SamplerName } from '../index.ts';
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
}

/** Pictures that run through the model together. */
const BATCH = 8;

/** Makes all pictures, in batches; the report is the first batch's, with the pictures and times of all. */
export async function runJobs(pipe: DiTPipeline, jobs: readonly Job[], settings: RunSettings): Promise<DiTResult> {
  const { numInferenceSteps, guidanceScale, sampler, eta, cache, signal } = settings;
  const images: PixelImage[] = [];
  const reports: GenerationReport[] = [];
  const progress = settings.quiet ? undefined : new ProgressLine(settings.title ?? 'Sampling');
  try {
    for (let from = 0; from < jobs.length; from += BATCH) {
      const batch = jobs.slice(from, from + BATCH);
      const result = await pipe.generate({
        classLabels: batch.map(({ label }) => label),
        seed: batch.map(({ seed }) => seed),
        numInferenceSteps,
        guidanceScale,
        sampler,
        eta,
        cache,
        signal,
        onStep: ({ step, numInferenceSteps: steps, cached }) => {
          const done = (from + (batch.length * (step + 1)) / steps) / jobs.length;
          progress?.update(done, `step ${step + 1}/${steps} ${cached ? 'cached' : 'full'}`);
        },
      });
      images.push(...result.images);
      reports.push(result.report);
    }
  } finally {
    progress?.end();
  }
  const [first] = reports;
  if (!first) throw new RangeError('there is nothing to make');
  const total = (seconds: (report: GenerationReport) => number) =>
    reports.reduce((sum, report) => sum + seconds(report), 0);
  return {
    images,
    report: {
      ...first,
      seeds: jobs.map(({ seed }) => seed),
      classLabels: reports.flatMap(({ classLabels }) => classLabels),
      stepSeconds: reports.flatMap(({ stepSeconds }) => stepSeconds),
      samplingSeconds: total(({ samplingSeconds }) => samplingSeconds),
      decodeSeconds: total(({ decodeSeconds }) => decodeSeconds),
    },
  };
}
