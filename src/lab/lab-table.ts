import type { Agreement } from '../metrics/agreement.ts';
import { agreement } from '../metrics/agreement.ts';
import type { ExtractedRows } from '../metrics/feature-extractor.ts';
import { frechetDistance } from '../metrics/frechet.ts';
import { inceptionScore } from '../metrics/inception-score.ts';
import { measurePair, type PairMeasures } from '../metrics/picture-pairs.ts';
import { piqe } from '../metrics/piqe.ts';
import type { PixelImage } from '../pipelines/image.ts';
import { psnrAtLatency } from './equal-latency.ts';
import type { LabMethod } from './lab-method.ts';
import type { LabBatch } from './lab-run.ts';
import type { LabTiming } from './lab-timing.ts';
import { meanOf, medianOf, type Spread, spreadOf } from './spread.ts';

/** How near the pictures of a method are to others made from the same noise, on average. */
export interface Nearness {
  /** dB, of the pictures that differ; Infinity where all are equal. */
  readonly psnr: number;
  readonly ssim: number;
  /** Mean Sobel gradient less that of the other pictures: below 0 where outlines are softer. */
  readonly gradientDifference: number;
  readonly highFrequencyError: number;
}

/** What a classifier says of a method's pictures. */
export interface Recognised {
  /** Fréchet distance of the features to those of the converged pictures. */
  readonly frechetDistance: number;
  readonly inceptionScore: number;
  readonly agreement: Agreement | null;
}

export interface LabRow {
  readonly method: string;
  readonly family: string;
  readonly sampler: string;
  readonly numInferenceSteps: number;
  readonly pictures: number;
  /** What times are of. */
  readonly timed: TimedRuns;
  /** Of the sampling loop: the median over the rounds or batches. */
  readonly secondsPerPicture: number;
  /** Baseline ÷ this: the median over the rounds or batches, each with the baseline's beside it. */
  readonly latencyRatio: number;
  /** Of the rounds or batches. */
  readonly latencyRatios: Spread;
  /** Baseline ÷ this, linears of the blocks alone. */
  readonly macsRatio: number;
  /** Of one picture and both guidance halves. */
  readonly peakCachedBytes: number;
  /** To the uncached run of the same sampler and steps; null where it is not in the grid, or is this one. */
  readonly toUncached: Nearness | null;
  readonly toConverged: Nearness;
  readonly piqe: number;
  readonly recognised: Recognised | null;
  /** PSNR to the converged picture less what uncached sampling gives in the same time, dB; null where it is not known. */
  readonly margin: number | null;
}

/** The runs that gave a row's times: rounds that were made for them, or the batches of the pictures. */
export interface TimedRuns {
  readonly kind: 'rounds' | 'batches';
  readonly count: number;
  /** Pictures that ran together; of batches all but the last. */
  readonly pictures: number;
}

/** All that a method has made. */
export interface LabResults {
  readonly method: LabMethod;
  readonly batches: readonly LabBatch[];
  /** Of its own timing, see `timeLab`. Where each method has some, times are these, else those of the batches. */
  readonly timings?: readonly LabTiming[] | undefined;
  readonly images: readonly PixelImage[];
  /** Null without a classifier. */
  readonly extracted: ExtractedRows | null;
}

export interface LabSetting {
  /** Name of the method that ratios refer to. */
  readonly baseline: string;
  /** Name of the method that gives the converged pictures. */
  readonly converged: string;
  /** Labels of the classifier, any of which a picture should show. */
  readonly wanted?: readonly (readonly number[] | undefined)[] | undefined;
  /** Called before each method is measured. @param done the part that is, 0 to 1 */
  readonly onProgress?: ((done: number, method: string) => void) | undefined;
}

/** A row a method, in the order given, the converged one left out. @throws RangeError where the setting names none */
export function labTable(results: readonly LabResults[], setting: LabSetting): readonly LabRow[] {
  const named = (name: string) => {
    const found = results.find(({ method }) => method.name === name);
    if (!found) throw new RangeError(`no method ${name} in the grid`);
    return found;
  };
  const [baseline, converged] = [named(setting.baseline), named(setting.converged)];
  const compared = results.filter((one) => one !== converged);
  const inRounds = compared.every(({ timings = [] }) => timings.length > 0);
  const rows = compared.map((one, i) => {
    setting.onProgress?.(i / compared.length, one.method.name);
    const times = inRounds ? roundTimes(one) : batchTimes(one, baseline);
    return rowOf(one, { times, baseline, converged, uncached: uncachedOf(one, results), setting });
  });
  const line = rows.filter((_, i) => !compared[i]?.method.cache).map(pointOf);
  return rows.map((row) => {
    const uncachedPsnr = psnrAtLatency(line, pointOf(row).seconds);
    return { ...row, margin: uncachedPsnr === undefined ? null : row.toConverged.psnr - uncachedPsnr };
  });
}

/** In baselines, not in seconds: a ratio is of runs side by side, whatever else the machine did later. */
function pointOf({ latencyRatio, toConverged }: Omit<LabRow, 'margin'>) {
  return { seconds: 1 / latencyRatio, psnr: toConverged.psnr };
}

type Times = Pick<LabRow, 'timed' | 'secondsPerPicture' | 'latencyRatio' | 'latencyRatios'>;

function roundTimes({ timings = [] }: LabResults): Times {
  const ratios = spreadOf(timings.map((one) => one.baselineSeconds / one.samplingSeconds));
  return {
    timed: { kind: 'rounds', count: timings.length, pictures: timings[0]?.pictures ?? 1 },
    secondsPerPicture: medianOf(timings.map((one) => one.samplingSeconds / one.pictures)),
    latencyRatio: ratios.median,
    latencyRatios: ratios,
  };
}

function batchTimes(one: LabResults, baseline: LabResults): Times {
  const { batches } = one;
  const ratios = spreadOf(
    batches.map(({ first, samplingSeconds }) => {
      const beside = baseline.batches.find((batch) => batch.first === first);
      return (beside?.samplingSeconds ?? Number.NaN) / samplingSeconds;
    }),
  );
  return {
    timed: { kind: 'batches', count: batches.length, pictures: batchLength(one, batches[0]?.first ?? 0) },
    secondsPerPicture: medianOf(batches.map((batch) => batch.samplingSeconds / batchLength(one, batch.first))),
    latencyRatio: ratios.median,
    latencyRatios: ratios,
  };
}

/** The uncached run of the same sampler and steps. */
function uncachedOf({ method }: LabResults, results: readonly LabResults[]): LabResults | null {
  if (!method.cache) return null;
  const same = ({ method: other }: LabResults) =>
    !other.cache &&
    other.sampler === method.sampler &&
    other.numInferenceSteps === method.numInferenceSteps &&
    String(other.timesteps) === String(method.timesteps);
  return results.find(same) ?? null;
}

interface Beside {
  readonly times: Times;
  readonly baseline: LabResults;
  readonly converged: LabResults;
  readonly uncached: LabResults | null;
  readonly setting: LabSetting;
}

function rowOf(one: LabResults, { times, baseline, converged, uncached, setting }: Beside): Omit<LabRow, 'margin'> {
  const { method, batches, images } = one;
  return {
    method: method.name,
    family: method.family,
    sampler: method.sampler,
    numInferenceSteps: method.timesteps?.length ?? method.numInferenceSteps,
    pictures: images.length,
    ...times,
    macsRatio: meanMacs(baseline) / meanMacs(one),
    peakCachedBytes: Math.max(...batches.map((batch) => batch.peakCachedBytes / batchLength(one, batch.first))),
    toUncached: uncached && nearness(images, uncached.images),
    toConverged: nearness(images, converged.images),
    piqe: meanOf(images.map(piqe)),
    recognised: recognisedOf(one, converged, setting),
  };
}

/** Of pictures: batches follow each other, the last may be shorter. */
function batchLength({ batches, images }: LabResults, first: number): number {
  const next = batches.map((batch) => batch.first).filter((other) => other > first);
  return (next.length > 0 ? Math.min(...next) : images.length) - first;
}

function meanMacs({ batches }: LabResults): number {
  return meanOf(batches.map(({ macs }) => macs));
}

function nearness(images: readonly PixelImage[], others: readonly PixelImage[]): Nearness {
  const pairs = images.map((image, i) => measurePair(image, others[i] as PixelImage));
  const mean = (measure: (pair: PairMeasures) => number) => meanOf(pairs.map(measure).filter(Number.isFinite));
  const differing = pairs.filter((pair) => Number.isFinite(pair.psnr));
  return {
    psnr: differing.length > 0 ? mean(({ psnr }) => psnr) : Number.POSITIVE_INFINITY,
    ssim: mean(({ ssim }) => ssim),
    gradientDifference: mean((pair) => pair.gradientDifference),
    highFrequencyError: mean((pair) => pair.highFrequencyError),
  };
}

function recognisedOf({ extracted }: LabResults, converged: LabResults, { wanted }: LabSetting): Recognised | null {
  if (!extracted || !converged.extracted) return null;
  return {
    frechetDistance: frechetDistance(extracted.features, converged.extracted.features),
    inceptionScore: inceptionScore(extracted.probabilities),
    agreement: (wanted && agreement(extracted.probabilities, wanted)) ?? null,
  };
}
