import { AbortError, type DiTPipeline, type GenerationReport, type PixelImage } from '../index.ts';
import { type Comparison, compared, differences, summary } from './compare.ts';
import type { GenerateOptions } from './generate-options.ts';
import type { GenerateRequest } from './generate-request.ts';
import { type Output, pathsOf } from './output.ts';
import { encodePicture, encodePng, grid, pictureKind, writeStdout, writeWhole } from './pictures.ts';
import { chunked, type PreviewFiles } from './preview-files.ts';
import { duration } from './progress.ts';
import { type RunSettings, runJobs } from './run-jobs.ts';
import { pictureTexts, settingsOf, settingsOfPicture } from './settings-text.ts';
import type { StoredSettings } from './stored-settings.ts';

/** All that a run needs, checked. */
export interface GenerateRun {
  readonly pipe: DiTPipeline;
  readonly request: GenerateRequest;
  readonly options: GenerateOptions;
  readonly output: Output;
  readonly preview: PreviewFiles | undefined;
  /** Of the picture that is repeated, if one is. */
  readonly stored: StoredSettings | undefined;
}

/** What was made. */
export interface GenerateResult {
  readonly settings: StoredSettings;
  readonly report: GenerationReport;
  readonly comparison: Comparison | undefined;
}

/** Makes and writes the pictures, and says on stderr what it does. @throws AbortError that tells what is written */
export async function makePictures(run: GenerateRun, signal: AbortSignal): Promise<GenerateResult> {
  const { pipe, request, options, output, stored } = run;
  const say = (text: string) => options.quiet || console.error(text);
  const { classes, jobs, policy: cache } = request;
  const sampling = samplingOf(run, signal);
  const { numInferenceSteps, guidanceScale, sampler, eta } = sampling;
  const given = { numInferenceSteps, guidanceScale, sampler, eta, cache };
  // the seeds are the request's; one is given so that none is drawn
  const description = pipe.describe({ ...given, classLabels: classes, seed: 0 });
  const settings = settingsOf(pipe, request, description);
  const warnings = [...description.warnings, ...storedWarnings(stored, settings), ...outputWarnings(output, options)];
  for (const text of warnings) say(`warning: ${text}`);
  say(announcement(settings, jobs.length));
  const result = request.compare
    ? await makeComparison(run, settings, sampling)
    : await makeJobs(run, settings, sampling, say);
  say(result.comparison ? summary(result.comparison) : samplingSummary(result.report));
  if (output.kind === 'sheet') say(`Wrote ${output.path}`);
  return result;
}

function samplingOf({ request, options, preview, pipe }: GenerateRun, signal: AbortSignal): RunSettings {
  return {
    numInferenceSteps: options.steps,
    guidanceScale: options.cfgScale ?? options.guidanceScale,
    sampler: options.sampler,
    eta: options.eta,
    quiet: options.quiet ?? false,
    batchSize: request.batchSize,
    signal,
    onStep: preview && ((event, first) => preview.show(pipe, event, first)),
  };
}

async function makeComparison(
  { pipe, request, options, output }: GenerateRun,
  settings: StoredSettings,
  sampling: RunSettings,
): Promise<GenerateResult> {
  const { jobs, policy } = request;
  if (!policy) throw new RangeError('a comparison needs a cache method');
  const comparison = await compared(pipe, jobs, policy, sampling);
  await writeSheet(output, comparison.rows, options.metadata ? settings : undefined);
  return { settings, report: comparison.cached.report, comparison };
}

async function makeJobs(
  { pipe, request, options, output, preview }: GenerateRun,
  settings: StoredSettings,
  sampling: RunSettings,
  say: (text: string) => void,
): Promise<GenerateResult> {
  const { jobs, policy: cache, seeds } = request;
  let written = 0;
  const onPictures = async (images: readonly PixelImage[], first: number) => {
    if (output.kind !== 'each') return;
    for (const [i, image] of images.entries()) {
      const path = output.paths[first + i] ?? '';
      const texts = options.metadata ? pictureTexts(settingsOfPicture(settings, first + i)) : {};
      await writeWhole(path, await encodePicture(path, image, texts));
      written += 1;
      say(`Wrote ${path}`);
    }
    await preview?.remove(first, images.length);
  };
  try {
    const { images, report } = await runJobs(pipe, jobs, { ...sampling, cache, onPictures });
    await writeSheet(output, chunked(images, seeds.length), options.metadata ? settings : undefined);
    return { settings, report, comparison: undefined };
  } catch (error) {
    if (error instanceof AbortError && written > 0)
      throw new AbortError(`${error.message}; ${written} of ${jobs.length} pictures are written`, { cause: error });
    throw error;
  }
}

/** One picture with all of them, where the output is one. @param settings to put into it */
async function writeSheet(
  output: Output,
  rows: readonly (readonly PixelImage[])[],
  settings: StoredSettings | undefined,
): Promise<void> {
  if (output.kind === 'each') return;
  const texts = settings ? pictureTexts(settings) : {};
  const sheet = await grid(rows);
  if (output.kind === 'stdout') await writeStdout(await encodePng(sheet, texts));
  else await writeWhole(output.path, await encodePicture(output.path, sheet, texts));
}

/** What differs from the run that made the picture which is to be repeated. */
export function storedWarnings(stored: StoredSettings | undefined, now: StoredSettings): string[] {
  if (!stored) return [];
  const known = stored.sha256.length > 0 && now.sha256.length > 0;
  const warnings: string[] = [];
  if (known && stored.sha256.join() !== now.sha256.join())
    warnings.push(`the weights of ${now.model} are not those that made the picture: their sha256 differs`);
  if (stored.backend !== now.backend)
    warnings.push(
      `the picture was made on ${stored.backend}, this is ${now.backend}: pixels may differ by rounding; --backend ${stored.backend} repeats them`,
    );
  return warnings;
}

function outputWarnings(output: Output, { metadata }: GenerateOptions): string[] {
  const bare = pathsOf(output).find((path) => pictureKind(path) === 'jpeg');
  return metadata && bare ? [`${bare}: a JPEG carries no settings; a name that ends in .png keeps them`] : [];
}

const LISTED = 8;

/** What is about to be made, seeds and all, so that a run which is stopped can be repeated. */
function announcement(settings: StoredSettings, pictures: number): string {
  const listed = (values: readonly unknown[]) =>
    values.slice(0, LISTED).join(', ') + (values.length > LISTED ? `, … (${values.length})` : '');
  const { classes, seeds, numInferenceSteps: steps, sampler, guidanceScale, cache } = settings;
  return (
    `${pictures === 1 ? 'One picture' : `${pictures} pictures`} of ${listed(classes)}: ` +
    `${steps} ${steps === 1 ? 'step' : 'steps'} of ${sampler}, guidance ${guidanceScale}, ` +
    `${cache ? `cache ${cache}, ` : ''}${seeds.length === 1 ? 'seed' : 'seeds'} ${listed(seeds)}`
  );
}

function samplingSummary({ samplingSeconds, cache, macs }: GenerationReport): string {
  const saved = cache && macs ? `, ${macs.macsRatio.toFixed(2)}× fewer MACs in the blocks` : '';
  return `Sampled in ${duration(samplingSeconds)}${saved}`;
}

/** For scripts. A PSNR of null is that of two equal pictures. */
export function jsonResult(
  run: GenerateRun,
  { settings, report, comparison }: GenerateResult,
  seconds: object,
): string {
  const { request, output } = run;
  const files = pathsOf(output);
  return JSON.stringify({
    files,
    pictures: request.jobs.map(({ label, seed }, i) => ({ file: files[i] ?? files[0], class: label, seed })),
    settings,
    seconds,
    report,
    ...(comparison ? { comparison: { pictures: differences(comparison), uncached: comparison.uncached.report } } : {}),
  });
}
