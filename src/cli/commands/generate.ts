import { Command } from 'commander';
import { OptionError } from '../../index.ts';
import { explain } from '../explain.ts';
import { type GenerateOptions, withGenerateOptions } from '../generate-options.ts';
import { type GenerateRequest, requested, requestedPolicy, resolved } from '../generate-request.ts';
import { type GenerateRun, jsonResult, makePictures } from '../generate-run.ts';
import { withInterrupt } from '../interrupt.ts';
import { openPipeline, withModelOptions } from '../model-options.ts';
import { checkFiles, type Output, outputOf, pathsOf } from '../output.ts';
import { PreviewFiles } from '../preview-files.ts';

export function generateCommand(): Command {
  return withGenerateOptions(withModelOptions(new Command('generate').description('make pictures of classes'))).action(
    generate,
  );
}

async function generate(given: GenerateOptions, command: Command): Promise<void> {
  const { options, stored } = await resolved(given, command);
  if (options.explain) return explain(options, requestedPolicy(options));
  const request = requested(options);
  const output = outputOf(options.output, request.jobs);
  checkTogether(options, request, output);
  const { previewEvery } = options;
  const preview = previewEvery === undefined ? undefined : new PreviewFiles(output, previewEvery, request.seeds.length);
  await checkFiles([...pathsOf(output), ...(preview?.paths ?? [])], options.force ?? false);
  const start = performance.now();
  const pipe = await openPipeline(options, {
    pictures: Math.min(request.batchSize, request.jobs.length),
    guided: (options.cfgScale ?? options.guidanceScale ?? Number.POSITIVE_INFINITY) > 1,
  });
  const loading = (performance.now() - start) / 1000;
  try {
    const run = { pipe, request, options, output, preview, stored };
    await withInterrupt((signal) => runAndReport(run, loading, signal));
  } finally {
    await preview?.remove();
    pipe.dispose();
  }
}

/** @throws OptionError for options that each are right and together are not. */
function checkTogether({ previewEvery, json }: GenerateOptions, { compare }: GenerateRequest, output: Output): void {
  if (previewEvery !== undefined && previewEvery < 1)
    throw new OptionError(`--preview-every: expected at least 1 step, got ${previewEvery}`);
  if (previewEvery !== undefined && (compare || output.kind === 'stdout'))
    throw new OptionError(`--preview-every: not with ${compare ? '--compare' : '-o -'}; leave one of the two out`);
  if (compare && output.kind === 'each')
    throw new OptionError('--compare: writes one sheet; leave the braces out of the name of -o');
  if (output.kind !== 'stdout') return;
  if (json) throw new OptionError('--json: prints on stdout, and so does -o -; leave one of the two out');
  if (process.stdout.isTTY) throw new OptionError('-o -: stdout is a terminal; send it to a file or a program');
}

async function runAndReport(run: GenerateRun, loading: number, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  const result = await makePictures(run, signal);
  const { samplingSeconds: sampling, decodeSeconds: decoding } = result.report;
  const seconds = { loading, sampling, decoding, total: loading + (performance.now() - start) / 1000 };
  if (run.options.json) console.log(jsonResult(run, result, seconds));
}
