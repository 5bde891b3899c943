import { OptionError, type PixArtRunDescription, type StoredSettings } from '../index.ts';
import { differences } from './compare.ts';
import type { GenerateOptions } from './generate-options.ts';
import type { GenerateRequest } from './generate-request.ts';
import type { GenerateResult } from './generate-run.ts';
import { type Output, pathsOf } from './output.ts';
import { pictureKind } from './pictures.ts';
import { duration } from './progress.ts';
import type { Made } from './run-jobs.ts';
import { shortened } from './subjects.ts';

/** Prompts of which the model does not see the end. */
export function truncationWarnings(subjects: readonly string[], { truncated }: PixArtRunDescription): string[] {
  return truncated.flatMap((end, i) =>
    end === null
      ? []
      : [`${JSON.stringify(shortened(subjects[i] ?? ''))} is too long: the model does not see ${JSON.stringify(end)}`],
  );
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

/** What a kind of file cannot hold. */
export function outputWarnings(output: Output, { metadata }: GenerateOptions): string[] {
  const bare = pathsOf(output).find((path) => pictureKind(path) === 'jpeg');
  return metadata && bare ? [`${bare}: a JPEG carries no settings; a name that ends in .png keeps them`] : [];
}

const LISTED = 8;

/** What is about to be made, seeds and all, so that a run which is stopped can be repeated. */
export function announcement(settings: StoredSettings, pictures: number): string {
  const listed = (values: readonly unknown[]) =>
    values.slice(0, LISTED).join(', ') + (values.length > LISTED ? `, … (${values.length})` : '');
  const { seeds, numInferenceSteps: steps, sampler, guidanceScale, cache, dtype } = settings;
  const subjects =
    settings.pipeline === 'DiTPipeline'
      ? settings.classes
      : settings.prompts.map((prompt) => JSON.stringify(shortened(prompt)));
  return (
    `${pictures === 1 ? 'One picture' : `${pictures} pictures`} of ${listed(subjects)}: ` +
    `${steps} ${steps === 1 ? 'step' : 'steps'} of ${sampler}, guidance ${guidanceScale}, ` +
    `${cache ? `cache ${cache}, ` : ''}weights in ${dtype}, ${seeds.length === 1 ? 'seed' : 'seeds'} ${listed(seeds)}`
  );
}

/** What it took. */
export function samplingSummary({ samplingSeconds, cache, macs }: Made['report']): string {
  const saved = cache && macs ? `, ${macs.macsRatio.toFixed(2)}× fewer MACs in the blocks` : '';
  return `Sampled in ${duration(samplingSeconds)}${saved}`;
}

/** For scripts. A PSNR of null is that of two equal pictures. */
export function jsonResult(
  { request, output }: { readonly request: GenerateRequest; readonly output: Output },
  { settings, report, comparison, failed, unmade }: GenerateResult,
  seconds: object,
): string {
  const { kind, pictures } = request;
  const files = pathsOf(output);
  const shown = pictures.flatMap(({ subject, seed }, i) =>
    unmade.has(i) ? [] : [{ file: files[i] ?? files[0], [kind]: subject, seed }],
  );
  const compared = comparison && {
    pictures: differences(comparison).map(({ subject, ...values }) => ({ [kind]: subject, ...values })),
    uncached: comparison.uncached.report,
  };
  return JSON.stringify({
    files: [...new Set(shown.flatMap(({ file }) => file ?? []))],
    pictures: shown,
    ...(failed.length > 0 ? { failed } : {}),
    settings,
    seconds,
    report,
    ...(compared ? { comparison: compared } : {}),
  });
}

/** @throws OptionError when something that was asked for could not be made. */
export function checkAllMade({ failed }: GenerateResult, { total }: GenerateRequest): void {
  if (failed.length === 0) return;
  const what = failed.length === 1 ? '1 prompt was' : `${failed.length} prompts were`;
  throw new OptionError(`${what} left out, for the reasons above, of ${total} pictures; the others are written`);
}
