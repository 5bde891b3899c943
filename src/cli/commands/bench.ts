import { Command, Option } from 'commander';
import {
  benchLatency,
  benchQuality,
  encodePng,
  OptionError,
  type PixelImage,
  type QualityReport,
  SAMPLER_NAMES,
  type SamplerName,
} from '../../index.ts';
import { appended, finiteNumber, timestepsOption, wholeNumber } from '../arguments.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { latencyTable, qualityTable } from '../bench-tables.ts';
import { CACHE_NAMES, wantedCache } from '../cache-options.ts';
import { labelledSheet } from '../demo-sheet.ts';
import { withInterrupt } from '../interrupt.ts';
import { warnOfTruncation, withLabSubjects } from '../lab-subjects.ts';
import { withModelOptions } from '../model-options.ts';
import { type Benched, type BenchedOptions, guidanceOf, openBenched } from '../open-benched.ts';
import { modelName } from '../open-painter.ts';
import { checkOutput, writeWhole } from '../pictures.ts';
import { ProgressLine } from '../progress.ts';
import { growthCommand } from './bench-growth.ts';
import { imageCommand } from './bench-image.ts';
import { loadCommand } from './bench-load.ts';
import { blockCommand, modelCommand } from './bench-speed.ts';

interface BenchOptions extends BenchedOptions {
  readonly steps?: number;
  readonly timesteps?: readonly number[];
  readonly sampler?: SamplerName;
  readonly json?: boolean;
}

interface LatencyCliOptions extends BenchOptions {
  readonly size?: string;
  readonly runs: number;
  readonly cache: string;
  readonly cacheOption: readonly string[];
}

interface QualityCliOptions extends BenchOptions {
  readonly seeds: number;
  readonly referenceSteps?: number;
  readonly output?: string;
  readonly sheet?: string;
  readonly force?: boolean;
}

/** Pictures of each method in the sheet. */
const SHEET_COLUMNS = 8;

export function benchCommand(): Command {
  const bench = new Command('bench').description('measure what a cache method saves, and what it changes');
  bench.addCommand(latencyCommand().exitOverride(), { isDefault: true });
  for (const command of [qualityCommand, blockCommand, modelCommand, imageCommand, loadCommand, growthCommand])
    bench.addCommand(command().exitOverride());
  return bench;
}

function latencyCommand(): Command {
  const command = new Command('latency').description('time uncached and cached runs in turn (what "bench" alone does)');
  return withBenchOptions(command, 1)
    .addOption(
      new Option(
        '--size <name>',
        'instead of a model: random weights of DiT-{S,B,L,XL}/{2,4,8}-{256,512} or PixArt-XL/2-{256,512,1024} (with captions of 120 tokens); 20 steps',
      ).conflicts(['model', 'class', 'prompt', 'promptFile', 'negativePrompt']),
    )
    .option('--runs <n>', 'pairs of an uncached and a cached run', wholeNumber, 3)
    .option('--cache <method>', `${CACHE_NAMES.join(', ')}, auto or a file, as generate takes it`, 'delta-dit')
    .option('--cache-option <k=v,…>', 'of the method, such as interval=2,cachedBlocks=21 or budget=0.625', appended, [])
    .action((options: LatencyCliOptions) => withInterrupt((signal) => latency(options, signal)));
}

function qualityCommand(): Command {
  const command = new Command('quality').description(
    'compare the pictures of cache methods and of fewer steps with those of the uncached model and of many steps',
  );
  return withBenchOptions(command, 8)
    .option('--seeds <n>', 'pictures, with seeds from 0 on, over the classes or prompts in turn', wholeNumber, 64)
    .option(
      '--reference-steps <n>',
      'uncached steps of the picture that all are judged by (default: 250; none under lcm)',
      wholeNumber,
    )
    .option('-o, --output <file>', 'JSON file with the numbers of every picture, too (null: infinite)')
    .option('--sheet <file>', `PNG file with the first ${SHEET_COLUMNS} pictures of every method, too`)
    .option('--force', 'replace files when they exist')
    .action((options: QualityCliOptions) => withInterrupt((signal) => quality(options, signal)));
}

function withBenchOptions(command: Command, batchSize: number): Command {
  return withLabSubjects(withModelOptions(command), 'class by name or number (default: all in turn)')
    .option('--steps <n>', 'sampling steps (default: the checkpoint’s, else 50, of a PixArt 20)', wholeNumber)
    .addOption(timestepsOption())
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .addOption(new Option('--sampler <name>', 'default: the checkpoint’s, else ddim').choices([...SAMPLER_NAMES]))
    .option('--batch-size <n>', 'pictures that run through the model together', wholeNumber, batchSize)
    .option('--json', 'print JSON');
}

async function latency(options: LatencyCliOptions, signal: AbortSignal): Promise<void> {
  const cache = await wantedCache(options.cache, options.cacheOption);
  if (!cache) throw new OptionError('--cache none: only a method can be timed against the uncached model; name one');
  if (options.runs < 1) throw new OptionError(`--runs: expected at least 1, got ${options.runs}`);
  const { steps: numInferenceSteps, timesteps, sampler, runs, batchSize, size, quiet, json } = options;
  const { painter, kind, subjects } = await openBenched(options, size);
  const progress = quiet ? undefined : new ProgressLine('Timing');
  try {
    const report = await benchLatency(painter, {
      ...{ subjects, numInferenceSteps, timesteps, guidanceScale: guidanceOf(options), sampler, cache },
      ...{ runs, batchSize, signal },
      onProgress: ({ done, what }) => progress?.update(done, what),
    }).finally(() => progress?.end());
    warnOfTruncation(report, options);
    const environment = await benchEnvironment();
    if (json) console.log(JSON.stringify({ ...report, environment }, null, 1));
    else console.log(`${latencyTable(report, size ?? modelName(options, kind))}\n\n${environmentLine(environment)}`);
  } finally {
    painter.pipe.dispose();
  }
}

async function quality(options: QualityCliOptions, signal: AbortSignal): Promise<void> {
  const { output, sheet, force = false, json } = options;
  if (options.seeds < 1) throw new OptionError(`--seeds: expected at least 1, got ${options.seeds}`);
  for (const path of [output, sheet]) if (path !== undefined) await checkOutput(path, force);
  const benched = await openBenched(options);
  const { pipe } = benched.painter;
  try {
    const { report, rows } = await compared(benched, options, signal);
    warnOfTruncation(report, options);
    const environment = await benchEnvironment();
    const content = JSON.stringify({ ...report, sha256: pipe.sha256, environment }, null, 1);
    if (output !== undefined) await writeWhole(output, Buffer.from(`${content}\n`));
    if (sheet !== undefined) await writeWhole(sheet, await encodePng(await sheetOf(benched, report, rows)));
    console.log(json ? content : `${qualityTable(report)}\n\n${environmentLine(environment)}`);
    const written = [output, sheet].filter((path) => path !== undefined);
    if (written.length > 0 && !options.quiet) console.error(`Wrote ${written.join(' and ')}`);
  } finally {
    pipe.dispose();
  }
}

type SheetRows = ReadonlyMap<string, readonly PixelImage[]>;

/** The report, and the first pictures of every method. */
async function compared(
  { painter, subjects }: Benched,
  options: QualityCliOptions,
  signal: AbortSignal,
): Promise<{ report: QualityReport; rows: SheetRows }> {
  const { steps: numInferenceSteps, timesteps, referenceSteps, sampler, batchSize, quiet } = options;
  const seeds = Array.from({ length: options.seeds }, (_, i) => i);
  const progress = quiet ? undefined : new ProgressLine('Comparing');
  const rows = new Map<string, readonly PixelImage[]>();
  const sampling = { numInferenceSteps, timesteps, guidanceScale: guidanceOf(options), sampler };
  const report = await benchQuality(painter, {
    ...{ seeds, subjects, ...sampling, referenceSteps, batchSize, signal },
    onProgress: ({ done, what }) => progress?.update(done, what),
    onPictures: ({ method, images }) => {
      rows.set(method, [...(rows.get(method) ?? []), ...images].slice(0, SHEET_COLUMNS));
    },
  }).finally(() => progress?.end());
  return { report, rows };
}

function sheetOf({ painter: { pipe } }: Benched, { subjects }: QualityReport, rows: SheetRows): Promise<PixelImage> {
  const names = 'labels' in pipe ? pipe.labels : [];
  const labels = subjects.slice(0, SHEET_COLUMNS).map((subject) => names[Number(subject)] ?? subject);
  return labelledSheet(
    labels,
    // the font breaks lines at spaces
    [...rows].map(([method, pictures]) => [method.replaceAll('-', ' '), pictures]),
  );
}
