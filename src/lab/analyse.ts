import type { Span } from '../cache/plan.ts';
import { deltaCache, type Region } from '../cache/policies/span-cache.ts';
import { checkWhole, defaultCachedBlocks } from '../cache/stage-planner.ts';
import type { DiTGenerateOptions, DiTPipeline } from '../pipelines/dit-pipeline.ts';
import type { RunDescription } from '../pipelines/report.ts';
import { DeltaMeter } from './delta-meter.ts';
import { DeltaReadings, type DeltaStatistics } from './delta-series.ts';

/** A picture whose making is measured. */
export interface AnalysedPicture {
  /** A number, or a name where the checkpoint has them. */
  readonly classLabel: number | string;
  readonly seed: number;
}

export interface AnalyseOptions
  extends Pick<DiTGenerateOptions, 'numInferenceSteps' | 'guidanceScale' | 'sampler' | 'eta' | 'signal'> {
  readonly pictures: readonly AnalysedPicture[];
  /** N_c of the spans that `deltaCache` would skip. Default: as `deltaDiT`. */
  readonly cachedBlocks?: number | undefined;
  /** Pictures that run through the model together. Default 8. */
  readonly batchSize?: number | undefined;
  /** Called after each step of each batch. */
  readonly onProgress?: ((progress: AnalyseProgress) => void) | undefined;
}

export interface AnalyseProgress {
  /** 0…1, of all steps of all pictures. */
  readonly done: number;
  readonly step: number;
  readonly numInferenceSteps: number;
}

/** The residual of a span of blocks over a run. */
export interface SpanDeltas extends Span, DeltaStatistics {}

/** How residuals change over uncached runs: what decides which blocks Δ-Cache can skip, and when. */
export interface DeltaAnalysis
  extends Pick<RunDescription, 'model' | 'backend' | 'numerics' | 'sampler' | 'eta' | 'guidanceScale'> {
  /** 999 → 0, one a step. */
  readonly timesteps: readonly number[];
  /** One a picture, as the seeds. */
  readonly classLabels: readonly number[];
  readonly seeds: readonly number[];
  /** Pictures × guidance halves. */
  readonly rows: number;
  /** Each block on its own. */
  readonly blocks: readonly SpanDeltas[];
  /** The spans that Δ-Cache would skip; none where N_c is 0. */
  readonly spans: readonly (SpanDeltas & { readonly region: Region })[];
}

/**
 * Makes the pictures without a cache and measures, at every step, the residual of every block and of the front, middle
 * and rear span (the motivation of Δ-DiT, arXiv 2406.01125, §4).
 * @throws as `generate` does; OptionError also for cachedBlocks or batchSize out of range
 */
export async function analyseDeltas(pipe: DiTPipeline, options: AnalyseOptions): Promise<DeltaAnalysis> {
  const { depth } = pipe.transformer.config;
  const run = runOf(options, options.pictures);
  const { model, backend, numerics, sampler, eta, guidanceScale, timesteps, classLabels, seeds } = pipe.describe(run);
  const blocks = Array.from({ length: depth }, (_, first): Span => ({ first, count: 1 }));
  const regions = regionSpans(options.cachedBlocks ?? defaultCachedBlocks(timesteps.length, depth), depth);
  const readings = await measured(pipe, options, [...blocks, ...regions], timesteps.length);
  return {
    ...{ model, backend, numerics, sampler, eta, guidanceScale, timesteps, classLabels, seeds },
    rows: readings.rows,
    blocks: blocks.map((block, i) => ({ ...block, ...readings.statistics(i) })),
    spans: regions.map((span, i) => ({ ...span, ...readings.statistics(depth + i) })),
  };
}

function runOf(options: AnalyseOptions, pictures: readonly AnalysedPicture[]): DiTGenerateOptions {
  const { numInferenceSteps, guidanceScale, sampler, eta, signal } = options;
  const classLabels = pictures.map(({ classLabel }) => classLabel);
  const seed = pictures.map(({ seed }) => seed);
  return { classLabels, seed, numInferenceSteps, guidanceScale, sampler, eta, signal };
}

async function measured(
  pipe: DiTPipeline,
  options: AnalyseOptions,
  spans: readonly Span[],
  steps: number,
): Promise<DeltaReadings> {
  const { pictures, batchSize = 8, onProgress } = options;
  checkWhole('batchSize', batchSize, 1, Number.MAX_SAFE_INTEGER, 'pictures');
  const readings = new DeltaReadings(spans.length, steps);
  for (let from = 0; from < pictures.length; from += batchSize) {
    const batch = pictures.slice(from, from + batchSize);
    const meter = new DeltaMeter(spans, (reading) => readings.add(reading));
    try {
      await pipe.generate({
        ...runOf(options, batch),
        runBlocks: (step) => meter.atStep(step),
        onStep: ({ step, numInferenceSteps }) => {
          const done = (from + (batch.length * (step + 1)) / steps) / pictures.length;
          onProgress?.({ done, step, numInferenceSteps });
        },
      });
    } finally {
      meter.dispose();
    }
  }
  return readings;
}

const REGIONS: readonly Region[] = ['front', 'middle', 'rear'];

/** Where Δ-Cache of each region skips blocks, as its own plan says. */
function regionSpans(cachedBlocks: number, depth: number): (Span & { readonly region: Region })[] {
  return REGIONS.flatMap((region) => {
    const plan = deltaCache({ region, cachedBlocks, interval: 2 }).plan({ numInferenceSteps: 2, depth });
    const span = plan.steps[1]?.reuse;
    return span ? [{ region, ...span }] : [];
  });
}
