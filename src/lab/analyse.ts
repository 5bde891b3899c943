import { type Region, regionSpan } from '../cache/policies/span-cache.ts';
import type { Span } from '../cache/site.ts';
import { checkWhole, defaultCachedBlocks } from '../cache/stage-planner.ts';
import { OptionError } from '../errors.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import type { RunDescription } from '../pipelines/report.ts';
import type { BenchProgress } from './bench-progress.ts';
import { DeltaMeter } from './delta-meter.ts';
import { DeltaReadings, type DeltaStatistics } from './delta-series.ts';
import { prepareSubjects, type ReportedRun, reportedRun } from './subjects.ts';

/** A picture whose making is measured. */
export interface AnalysedPicture {
  /** Of a DiT a class by number or name, of a PixArt a prompt. */
  readonly subject: string;
  readonly seed: number;
}

export interface AnalyseOptions
  extends Pick<PaintOptions, 'numInferenceSteps' | 'timesteps' | 'guidanceScale' | 'sampler' | 'eta' | 'signal'> {
  readonly pictures: readonly AnalysedPicture[];
  /** N_c of the spans that `deltaCache` would skip. Default: as `deltaDiT`. */
  readonly cachedBlocks?: number | undefined;
  /** Pictures that run through the model together. Default 8. */
  readonly batchSize?: number | undefined;
  /** Called after each step of each batch, and before them after each layer of the text encoder. */
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

/** The residual of a span of blocks over a run. */
export interface SpanDeltas extends Span, DeltaStatistics {}

/** How residuals change over uncached runs: what decides which blocks Δ-Cache can skip, and when. */
export interface DeltaAnalysis extends ReportedRun, Pick<RunDescription, 'eta' | 'seeds'> {
  /** 999 → 0, one a step. */
  readonly timesteps: readonly number[];
  /** One a picture, as the seeds. */
  readonly subjects: readonly string[];
  /** Pictures × guidance halves. */
  readonly rows: number;
  /** Each block on its own. */
  readonly blocks: readonly SpanDeltas[];
  /** The spans that Δ-Cache would skip; none where N_c is 0. */
  readonly spans: readonly (SpanDeltas & { readonly region: Region })[];
}

/**
 * Makes the pictures without a cache and measures, at every step, the residual of every block and of the front, middle
 * and rear span (the motivation of Δ-DiT, arXiv 2406.01125, §4). Prompts are encoded once, before.
 * @throws as `generate` does; OptionError also for no pictures, and for cachedBlocks or batchSize out of range
 */
export async function analyseDeltas(painter: Painter, options: AnalyseOptions): Promise<DeltaAnalysis> {
  const { pictures, batchSize = 8 } = options;
  const { depth } = painter.pipe.transformer.config;
  if (pictures.length === 0) throw new OptionError('pictures: expected at least one, got none');
  checkWhole('batchSize', batchSize, 1, Number.MAX_SAFE_INTEGER, 'pictures');
  const subjects = pictures.map(({ subject }) => subject);
  const described = await painter.describe(subjects, runOf(options, pictures));
  const { timesteps, seeds, eta } = described;
  const blocks = Array.from({ length: depth }, (_, first): Span => ({ first, count: 1 }));
  checkWhole('cachedBlocks', options.cachedBlocks ?? 0, 0, depth, "the model's blocks");
  const regions = regionSpans(options.cachedBlocks ?? defaultCachedBlocks(timesteps.length, depth), depth);
  await prepareSubjects(painter, subjects, options);
  const readings = await measured(painter, { ...options, batchSize }, [...blocks, ...regions], timesteps.length);
  return {
    ...reportedRun(described),
    ...{ eta, timesteps, subjects, seeds },
    rows: readings.rows,
    blocks: blocks.map((block, i) => ({ ...block, ...readings.statistics(i) })),
    spans: regions.map((span, i) => ({ ...span, ...readings.statistics(depth + i) })),
  };
}

function runOf(options: AnalyseOptions, pictures: readonly AnalysedPicture[]): PaintOptions {
  const { numInferenceSteps, timesteps, guidanceScale, sampler, eta, signal } = options;
  const seed = pictures.map((picture) => picture.seed);
  return { seed, numInferenceSteps, timesteps, guidanceScale, sampler, eta, signal };
}

async function measured(
  painter: Painter,
  options: AnalyseOptions & { readonly batchSize: number },
  spans: readonly Span[],
  steps: number,
): Promise<DeltaReadings> {
  const { pictures, batchSize, onProgress } = options;
  const readings = new DeltaReadings(spans.length, steps);
  for (let from = 0; from < pictures.length; from += batchSize) {
    const batch = pictures.slice(from, from + batchSize);
    const meter = new DeltaMeter(spans, (reading) => readings.add(reading));
    const run: PaintOptions = {
      ...runOf(options, batch),
      runBlocks: (step) => meter.atStep(step),
      onStep: ({ step }) => {
        const done = (from + (batch.length * (step + 1)) / steps) / pictures.length;
        onProgress?.({ done, what: `step ${step + 1}/${steps}` });
      },
    };
    const subjects = batch.map(({ subject }) => subject);
    await painter.paint(subjects, run).finally(() => meter.dispose());
  }
  return readings;
}

const REGIONS: readonly Region[] = ['front', 'middle', 'rear'];

/** Where Δ-Cache of each region skips blocks, as its own plan says. */
function regionSpans(cachedBlocks: number, depth: number): (Span & { readonly region: Region })[] {
  return REGIONS.flatMap((region) => {
    const span = regionSpan(region, cachedBlocks, depth);
    return span.count > 0 ? [{ region, ...span }] : [];
  });
}
