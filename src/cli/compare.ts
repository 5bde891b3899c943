import { type CachePolicy, type Painter, type PixelImage, psnr, ssim } from '../index.ts';
import { duration } from './progress.ts';
import { BATCH_SIZE, type Job, type Made, type RunSettings, runJobs } from './run-jobs.ts';
import { shortened } from './subjects.ts';

export interface Comparison {
  readonly uncached: Made;
  readonly cached: Made;
  /** One row a picture: uncached, cached. */
  readonly rows: readonly (readonly PixelImage[])[];
  readonly jobs: readonly Job[];
}

/** The same pictures without and with the cache, after one step that is not counted. */
export async function compared(
  painter: Painter,
  jobs: readonly Job[],
  cache: CachePolicy | 'auto',
  settings: RunSettings,
): Promise<Comparison> {
  const { numInferenceSteps, timesteps, sampler, guidanceScale } = settings;
  painter.pipe.plan({ cache, numInferenceSteps, timesteps, sampler, guidanceScale });
  await runJobs(painter, jobs.slice(0, settings.batchSize ?? BATCH_SIZE), {
    ...settings,
    numInferenceSteps: 1,
    timesteps: undefined,
    quiet: true,
  });
  const uncached = await runJobs(painter, jobs, { ...settings, title: 'Uncached' });
  const cached = await runJobs(painter, jobs, { ...settings, cache, title: cache === 'auto' ? 'Cached' : cache.name });
  const rows = uncached.images.map((image, i) => [image, cached.images[i] ?? image]);
  return { uncached, cached, rows, jobs };
}

/** How far the cache moves each picture. */
export function differences({
  rows,
  jobs,
}: Comparison): readonly { subject: string; seed: number; psnr: number; ssim: number }[] {
  return jobs.flatMap(({ subject, seed }, i) => {
    const [plain, fast] = rows[i] ?? [];
    return plain && fast ? [{ subject, seed, psnr: psnr(plain, fast), ssim: ssim(plain, fast) }] : [];
  });
}

/** A line a picture and one for the times. */
export function summary(comparison: Comparison): string {
  const { uncached, cached } = comparison;
  const lines = differences(comparison).map(
    (one) =>
      `${shortened(one.subject)} (seed ${one.seed}): PSNR ${one.psnr.toFixed(2)} dB, SSIM ${one.ssim.toFixed(4)}`,
  );
  const [before, after] = [uncached.report.samplingSeconds, cached.report.samplingSeconds];
  return [
    ...lines,
    `${cached.report.cache}: ${duration(after)} instead of ${duration(before)}, ${(before / after).toFixed(2)}× faster sampling ` +
      `(${cached.report.macs?.macsRatio.toFixed(2)}× fewer MACs in the blocks)`,
  ].join('\n');
}
