import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import {
  type AnalysedPicture,
  analyseDeltas,
  deltaFigure,
  OptionError,
  SAMPLER_NAMES,
  type SamplerName,
  type SubjectKind,
} from '../../index.ts';
import { finiteNumber, timestepsOption, wholeNumber } from '../arguments.ts';
import { analysisJson, analysisSummary } from '../delta-report.ts';
import { withInterrupt } from '../interrupt.ts';
import { type LabSubjectOptions, labSubjects, warnOfTruncation, withLabSubjects } from '../lab-subjects.ts';
import { withModelOptions } from '../model-options.ts';
import { openPainter } from '../open-painter.ts';
import { measureOutlines, outlineTable } from '../outline-report.ts';
import { checkOutput, writeStdout, writeWhole } from '../pictures.ts';
import { ProgressLine } from '../progress.ts';
import { expandSeeds } from '../seeds.ts';

/** As a file: standard output. */
const STDOUT = '-';

interface AnalyseCliOptions extends LabSubjectOptions {
  readonly seed?: readonly number[];
  readonly count: number;
  readonly steps?: number;
  readonly timesteps?: readonly number[];
  readonly cfgScale?: number;
  readonly guidanceScale?: number;
  readonly sampler?: SamplerName;
  readonly eta?: number;
  readonly cachedBlocks?: number;
  readonly batchSize: number;
  readonly output: string;
  readonly svg?: string;
  readonly force?: boolean;
  readonly images?: readonly string[];
  readonly reference?: string;
  readonly cutoff?: number;
  readonly json?: boolean;
}

export function analyseCommand(): Command {
  const command = withModelOptions(
    new Command('analyse').description(
      'measure how the residuals of the blocks change from step to step, or the outlines of pictures',
    ),
  );
  return withLabSubjects(command, 'class by name or number; several are averaged')
    .option('-s, --seed <n>', 'noise; several are averaged, −1 is random (default: 0)', numbers)
    .option('--count <n>', 'seeds of each class or prompt, counting up', wholeNumber, 1)
    .option('--steps <n>', 'sampling steps (default: the checkpoint’s, else 50, of a PixArt 20)', wholeNumber)
    .addOption(timestepsOption())
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .addOption(new Option('--sampler <name>', 'default: the checkpoint’s, else ddim').choices([...SAMPLER_NAMES]))
    .option('--eta <x>', 'noise that ddim and ddim-original add, 0 to 1 (default: 0)', finiteNumber)
    .option('--cached-blocks <n>', 'length of the front, middle and rear span (default: as delta-dit)', wholeNumber)
    .option('--batch-size <n>', 'pictures that run through the model together', wholeNumber, 8)
    .option('-o, --output <file>', 'JSON file; - is stdout', 'analysis.json')
    .option('--svg <file>', 'heat maps of steps × blocks, too')
    .option('--force', 'replace files when they exist')
    .option('--images <files...>', 'instead: the mean gradient of pictures (Sobel), by which Δ-DiT tells outlines')
    .option('--reference <file>', 'of --images: the uncached picture, for the error of their high frequencies (DFT)')
    .option('--cutoff <x>', 'of --reference: where those begin, in cycles a pixel (default: 0.25)', finiteNumber)
    .option('--json', 'of --images: print JSON')
    .action(analyse);
}

function numbers(text: string, before: readonly number[] = []): readonly number[] {
  return [...before, wholeNumber(text)];
}

async function analyse(options: AnalyseCliOptions): Promise<void> {
  const { images, reference, cutoff, json, svg, output, force = false } = options;
  if (images) return analyseImages(images, options);
  const imageOption = Object.entries({ reference, cutoff, json }).find(([, value]) => value !== undefined);
  if (imageOption) throw new OptionError(`--${imageOption[0]}: is of --images; leave it out, or give the pictures`);
  const { kind, subjects } = await labSubjects(options);
  if (!subjects) {
    throw new OptionError(
      '--class or --prompt: expected a class of a DiT ("delta-dit inspect" lists them), or a prompt for a PixArt (or --images)',
    );
  }
  const seeds = expandSeeds(options.seed ?? [0], options.count);
  const pictures = subjects.flatMap((subject) => seeds.map((seed) => ({ subject, seed })));
  if (svg !== undefined && resolve(svg) === resolve(output))
    throw new OptionError(`--svg ${svg}: is the JSON file, too; give each a name of its own`);
  for (const path of filesOf(options)) await checkOutput(path, force);
  await withInterrupt((signal) => analyseBlocks(pictures, kind, options, signal));
}

async function analyseBlocks(
  pictures: readonly AnalysedPicture[],
  kind: SubjectKind,
  options: AnalyseCliOptions,
  signal: AbortSignal,
): Promise<void> {
  const { steps: numInferenceSteps, timesteps, sampler, eta, cachedBlocks, batchSize, output, svg } = options;
  const guidanceScale = options.cfgScale ?? options.guidanceScale;
  const guided = guidanceScale === undefined || guidanceScale > 1;
  const { width, height } = options;
  const request = { pictures: Math.min(batchSize, pictures.length), guided, width, height };
  const painter = await openPainter(options, kind, request);
  const progress = options.quiet ? undefined : new ProgressLine('Analysing');
  try {
    const analysis = await analyseDeltas(painter, {
      ...{ pictures, numInferenceSteps, timesteps, guidanceScale, sampler, eta, cachedBlocks, batchSize, signal },
      onProgress: ({ done, what }) => progress?.update(done, what),
    });
    progress?.end();
    warnOfTruncation(analysis, options);
    await writeText(output, analysisJson(painter, analysis));
    if (svg !== undefined) await writeText(svg, deltaFigure(analysis));
    if (options.quiet) return;
    console.error(analysisSummary(analysis));
    if (filesOf(options).length > 0) console.error(`Wrote ${filesOf(options).join(' and ')}`);
  } finally {
    progress?.end();
    painter.pipe.dispose();
  }
}

function writeText(path: string, text: string): Promise<void> {
  return path === STDOUT ? writeStdout(Buffer.from(text)) : writeWhole(path, Buffer.from(text));
}

function filesOf({ output, svg = STDOUT }: AnalyseCliOptions): string[] {
  return [output, svg].filter((path) => path !== STDOUT);
}

async function analyseImages(images: readonly string[], options: AnalyseCliOptions): Promise<void> {
  const { class: classes, prompt, promptFile } = options;
  if (classes) throw new OptionError('--images and --class: expected one of the two, got both');
  if (prompt ?? promptFile) throw new OptionError('--images and --prompt: expected one of the two, got both');
  if (options.cutoff !== undefined && options.reference === undefined)
    throw new OptionError('--cutoff: is of --reference; leave it out, or give the uncached picture');
  const report = await measureOutlines(images, options.reference, options.cutoff);
  console.log(options.json ? JSON.stringify(report, null, 1) : outlineTable(report));
}
