import { Command } from 'commander';
import { OptionError } from '../../index.ts';
import { explain } from '../explain.ts';
import { type GenerateOptions, withGenerateOptions } from '../generate-options.ts';
import { checkAllMade, jsonResult } from '../generate-report.ts';
import { type GenerateRequest, requested, requestedPolicy, resolved } from '../generate-request.ts';
import { type GenerateRun, makePictures } from '../generate-run.ts';
import { withInterrupt } from '../interrupt.ts';
import { withModelOptions } from '../model-options.ts';
import { openPainter } from '../open-painter.ts';
import { checkFiles, type Output, outputOf, pathsOf } from '../output.ts';
import { PreviewFiles } from '../preview-files.ts';

export function generateCommand(): Command {
  const command = new Command('generate').description('make pictures of classes or of prompts');
  return withGenerateOptions(withModelOptions(command)).action(generate);
}

async function generate(given: GenerateOptions, command: Command): Promise<void> {
  const { options: wanted, stored } = await resolved(given, command);
  if (wanted.explain) return explain(wanted, await requestedPolicy(wanted));
  const request = await requested(wanted);
  const options = { ...wanted, ...request.options };
  const { kind, pictures, seeds } = request;
  const name = options.output ?? (options.promptFile === undefined ? 'out.png' : 'out-{index}.png');
  const output = outputOf(name, kind, pictures, request.total);
  checkTogether(options, request, output);
  const { previewEvery, saveEmbeds } = options;
  const preview = previewEvery === undefined ? undefined : new PreviewFiles(output, previewEvery, seeds.length);
  const files = [...pathsOf(output), ...(preview?.paths ?? []), ...(saveEmbeds === undefined ? [] : [saveEmbeds])];
  await checkFiles(files, options.force ?? false);
  const start = performance.now();
  const { width, height, dtype } = options;
  const model = options.embeds === undefined ? options : { ...options, without: ENCODED_WITHOUT };
  const painter = await openPainter(model, kind, {
    ...{ width, height, dtype, pictures: Math.min(request.batchSize, pictures.length) },
    guided: (options.cfgScale ?? options.guidanceScale ?? Number.POSITIVE_INFINITY) > 1,
  });
  const loading = (performance.now() - start) / 1000;
  try {
    const run = { painter, request, options, output, preview, stored };
    await withInterrupt((signal) => runAndReport(run, loading, signal));
  } finally {
    await preview?.remove();
    painter.pipe.dispose();
  }
}

/** What prompts that come encoded do not need. */
const ENCODED_WITHOUT = ['text_encoder', 'tokenizer'] as const;

/** @throws OptionError for options that each are right and together are not. */
function checkTogether(options: GenerateOptions, { compare, kind, pictures }: GenerateRequest, output: Output): void {
  const { previewEvery, json, ar, width, height, saveEmbeds, embeds } = options;
  if (ar !== undefined && (width !== undefined || height !== undefined))
    throw new OptionError('--ar: is a size, and so are --width and --height; leave one of the two out');
  if (saveEmbeds !== undefined && (kind === 'class' || embeds !== undefined))
    throw new OptionError(`--save-embeds: there is nothing to encode with --${kind === 'class' ? 'class' : 'embeds'}`);
  const sizes = new Set(pictures.map(({ size }) => JSON.stringify(size)));
  if (sizes.size > 1 && output.kind !== 'each')
    throw new OptionError('-o: pictures of several sizes do not go into one file; put {index} into its name');
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
  const encoding = run.request.kind === 'prompt' ? { encoding: result.encodeSeconds } : {};
  const seconds = { loading, ...encoding, sampling, decoding, total: loading + (performance.now() - start) / 1000 };
  if (run.options.json) console.log(jsonResult(run, result, seconds));
  checkAllMade(result, run.request);
}
