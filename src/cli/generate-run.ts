import {
  AbortError,
  type DiTRunDescription,
  encodePng,
  type Painter,
  PixArtPipeline,
  type PixArtRunDescription,
  type PixelImage,
  pictureTexts,
  type StoredSettings,
} from '../index.ts';
import { type Comparison, compared, summary } from './compare.ts';
import type { GenerateOptions } from './generate-options.ts';
import {
  announcement,
  outputWarnings,
  samplingSummary,
  storedWarnings,
  truncationWarnings,
} from './generate-report.ts';
import type { GenerateRequest, RequestedPicture } from './generate-request.ts';
import type { Output } from './output.ts';
import { encodePicture, grid, writeStdout, writeWhole } from './pictures.ts';
import { chunked, type PreviewFiles } from './preview-files.ts';
import { PromptsAhead } from './prompts-ahead.ts';
import { type Job, type Made, type RunSettings, runJobs } from './run-jobs.ts';
import { settingsOf, settingsOfPicture } from './settings-text.ts';
import { type Refused, shortened } from './subjects.ts';
import { pixelsOf } from './wanted-pixels.ts';

/** All that a run needs, checked. */
export interface GenerateRun {
  readonly painter: Painter;
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
  readonly report: Made['report'];
  readonly comparison: Comparison | undefined;
  /** What no picture could be made of. */
  readonly failed: readonly Refused[];
  /** Pictures of the request that could not be made, by their place in it. */
  readonly unmade: ReadonlySet<number>;
  /** Wall time of the text encoder. */
  readonly encodeSeconds: number;
}

type Description = DiTRunDescription | PixArtRunDescription;

/** Makes and writes the pictures, and says on stderr what it does. @throws AbortError that tells what is written */
export async function makePictures(run: GenerateRun, signal: AbortSignal): Promise<GenerateResult> {
  const { painter, request, options } = run;
  const say = (text: string) => options.quiet || console.error(text);
  const ahead = promptsAhead(run, signal);
  try {
    await ahead?.read();
    const jobs = request.pictures.map((picture) => jobOf(painter, picture));
    const settings = await describe(run, jobs, say);
    const sampling = samplingOf(run, settings.description, ahead, signal);
    const result = await made(run, settings.stored, jobs, sampling, say);
    const known = settings.description.warnings;
    for (const text of result.report.warnings) if (!known.includes(text)) say(`warning: ${text}`);
    return { ...result, encodeSeconds: ahead?.seconds ?? 0 };
  } finally {
    ahead?.dispose();
  }
}

function promptsAhead({ painter: { pipe }, request, options }: GenerateRun, signal: AbortSignal) {
  if (!(pipe instanceof PixArtPipeline)) return undefined;
  const { embeds, saveEmbeds, negativePrompt, cleanPrompt, quiet } = options;
  const prompts = request.pictures.map(({ text }) => text);
  return new PromptsAhead(pipe, prompts, { embeds, saveEmbeds, negativePrompt, cleanPrompt, quiet, signal });
}

function jobOf(painter: Painter, { text, seed, size }: RequestedPicture): Job {
  return { subject: text, seed, ...(size ? pixelsOf(painter, size) : {}) };
}

/** Says what is about to be made, and what may disappoint in it. */
async function describe(
  { painter, request, options, output, stored: before }: GenerateRun,
  jobs: readonly Job[],
  say: (text: string) => void,
): Promise<{ stored: StoredSettings; description: Description }> {
  const given = { ...samplingOptions(options), cache: request.policy };
  const subjects = request.subjects.map(({ text }) => text);
  const [size = {}, ...others] = distinctSizes(jobs);
  // the seeds are the request's; one is given so that none is drawn
  const shared = others.length > 0 ? {} : size;
  const description = await painter.describe(subjects, { ...given, ...shared, seed: 0 });
  if (!isTolerant(options, output)) {
    for (const own of others.length > 0 ? [size, ...others] : [])
      await painter.describe(subjects.slice(0, 1), { ...given, ...own, seed: 0 });
  }
  const stored = settingsOf(painter, request, description);
  const truncated = 'truncated' in description ? truncationWarnings(subjects, description) : [];
  const warnings = [...description.warnings, ...storedWarnings(before, stored), ...outputWarnings(output, options)];
  for (const text of [...warnings, ...truncated]) say(`warning: ${text}`);
  for (const { given: line, reason } of request.refused) say(`failed: ${JSON.stringify(shortened(line))}: ${reason}`);
  say(announcement(stored, jobs.length));
  return { stored, description };
}

function samplingOptions({ steps, timesteps, cfgScale, guidanceScale, sampler, eta }: GenerateOptions) {
  return { numInferenceSteps: steps, timesteps, guidanceScale: cfgScale ?? guidanceScale, sampler, eta };
}

function samplingOf(
  { request, options, preview, painter }: GenerateRun,
  description: Description,
  ahead: PromptsAhead | undefined,
  signal: AbortSignal,
): RunSettings {
  const takesNegative = 'prompts' in description && description.negativePrompts.length > 0;
  const negative = takesNegative ? (options.negativePrompt ?? '') : undefined;
  return {
    ...samplingOptions(options),
    quiet: options.quiet ?? false,
    batchSize: request.batchSize,
    signal,
    beforeBatch: ahead && ((first, end) => ahead.reach(first, end, negative)),
    onStep: preview && ((event, first) => preview.show(painter, event, first)),
  };
}

function distinctSizes(jobs: readonly Job[]): readonly Pick<Job, 'width' | 'height'>[] {
  return [...new Map(jobs.map(({ width, height }) => [`${width}x${height}`, { width, height }])).values()];
}

/** Whether a picture that cannot be made stops no other. */
function isTolerant({ promptFile }: GenerateOptions, { kind }: Output): boolean {
  return promptFile !== undefined && kind === 'each';
}

type MadePictures = Omit<GenerateResult, 'encodeSeconds'>;

async function made(
  run: GenerateRun,
  settings: StoredSettings,
  jobs: readonly Job[],
  sampling: RunSettings,
  say: (text: string) => void,
): Promise<MadePictures> {
  const result = run.request.compare
    ? await makeComparison(run, settings, jobs, sampling)
    : await makeJobs(run, settings, jobs, sampling, say);
  say(result.comparison ? summary(result.comparison) : samplingSummary(result.report));
  if (run.output.kind === 'sheet') say(`Wrote ${run.output.path}`);
  return result;
}

async function makeComparison(
  { painter, request, options, output }: GenerateRun,
  settings: StoredSettings,
  jobs: readonly Job[],
  sampling: RunSettings,
): Promise<MadePictures> {
  const { policy, refused } = request;
  if (!policy) throw new RangeError('a comparison needs a cache method');
  const comparison = await compared(painter, jobs, policy, sampling);
  await writeSheet(output, comparison.rows, options.metadata ? settings : undefined);
  return { settings, report: comparison.cached.report, comparison, failed: refused, unmade: new Set() };
}

async function makeJobs(
  { painter, request, options, output, preview }: GenerateRun,
  settings: StoredSettings,
  jobs: readonly Job[],
  sampling: RunSettings,
  say: (text: string) => void,
): Promise<MadePictures> {
  const { pictures, policy: cache, seeds } = request;
  const failed = [...request.refused];
  const unmade = new Set<number>();
  let written = 0;
  const onPictures = async (images: readonly PixelImage[], first: number) => {
    if (output.kind !== 'each') return;
    for (const [i, image] of images.entries()) {
      const path = output.paths[first + i] ?? '';
      const texts = options.metadata ? pictureTexts(settingsOfPicture(settings, first + i, jobs[first + i])) : {};
      await writeWhole(path, await encodePicture(path, image, texts));
      written += 1;
      say(`Wrote ${path}`);
    }
    await preview?.remove(first, images.length);
  };
  const onFailure = (index: number, { message: reason }: Error) => {
    const given = pictures[index]?.subject ?? '';
    failed.push({ given, reason });
    unmade.add(index);
    say(`failed: ${JSON.stringify(shortened(given))}: ${reason}`);
  };
  try {
    const { images, report } = await runJobs(painter, jobs, {
      ...sampling,
      ...(isTolerant(options, output) ? { onFailure } : {}),
      cache,
      onPictures,
      keepPictures: output.kind !== 'each',
    });
    await writeSheet(output, chunked(images, seeds.length), options.metadata ? settings : undefined);
    return { settings, report, comparison: undefined, failed, unmade };
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
