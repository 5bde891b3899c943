import { Command, Option } from 'commander';
import {
  benchLatency,
  benchQuality,
  DiTPipeline,
  OptionError,
  type PixelImage,
  type QualityReport,
  randomCheckpoint,
  SAMPLER_NAMES,
  type SamplerName,
} from '../../index.ts';
import { appended, finiteNumber, wholeNumber } from '../arguments.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { latencyTable, qualityTable } from '../bench-tables.ts';
import { CACHE_NAMES, cachePolicy } from '../cache-options.ts';
import { labelledSheet } from '../demo-sheet.ts';
import { withInterrupt } from '../interrupt.ts';
import { checkMemory, type MemoryRequest, memoryLimits } from '../memory-check.ts';
import { type ModelOptions, openPipeline, startBackend, withModelOptions } from '../model-options.ts';
import { checkOutput, encodePng, writeWhole } from '../pictures.ts';
import { ProgressLine } from '../progress.ts';

interface BenchOptions extends ModelOptions {
  readonly steps?: number;
  readonly cfgScale?: number;
  readonly guidanceScale?: number;
  readonly sampler?: SamplerName;
  readonly batchSize: number;
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
  readonly referenceSteps: number;
  readonly output?: string;
  readonly sheet?: string;
  readonly force?: boolean;
}

/** Pictures of each method in the sheet. */
const SHEET_COLUMNS = 8;

export function benchCommand(): Command {
  const bench = new Command('bench').description('measure what a cache method saves, and what it changes');
  bench.addCommand(latencyCommand().exitOverride(), { isDefault: true });
  return bench.addCommand(qualityCommand().exitOverride());
}

function latencyCommand(): Command {
  const command = new Command('latency').description('time uncached and cached runs in turn (what "bench" alone does)');
  return withBenchOptions(command, 1)
    .addOption(
      new Option(
        '--size <name>',
        'instead of a model: random weights of DiT-{S,B,L,XL}/{2,4,8}-{256,512}, such as DiT-XL/2-256; 20 steps',
      ).conflicts('model'),
    )
    .option('--runs <n>', 'pairs of an uncached and a cached run', wholeNumber, 3)
    .option('--cache <method>', CACHE_NAMES.join(', '), 'delta-dit')
    .option('--cache-option <k=v,…>', 'of the method, such as interval=2,cachedBlocks=21 or budget=0.625', appended, [])
    .action((options: LatencyCliOptions) => withInterrupt((signal) => latency(options, signal)));
}

function qualityCommand(): Command {
  const command = new Command('quality').description(
    'compare the pictures of cache methods and of fewer steps with those of the uncached model and of many steps',
  );
  return withBenchOptions(command, 8)
    .option('--seeds <n>', 'pictures, with seeds from 0 on, over the classes in turn', wholeNumber, 64)
    .option('--reference-steps <n>', 'uncached steps of the picture that all are judged by', wholeNumber, 250)
    .option('-o, --output <file>', 'JSON file with the numbers of every picture, too (null: infinite)')
    .option('--sheet <file>', `PNG file with the first ${SHEET_COLUMNS} pictures of every method, too`)
    .option('--force', 'replace files when they exist')
    .action((options: QualityCliOptions) => withInterrupt((signal) => quality(options, signal)));
}

function withBenchOptions(command: Command, batchSize: number): Command {
  return withModelOptions(command)
    .option('--steps <n>', 'sampling steps (default: the checkpoint’s, else 50)', wholeNumber)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .addOption(new Option('--sampler <name>', 'default: the checkpoint’s, else ddim').choices([...SAMPLER_NAMES]))
    .option('--batch-size <n>', 'pictures that run through the model together', wholeNumber, batchSize)
    .option('--json', 'print JSON');
}

async function latency(options: LatencyCliOptions, signal: AbortSignal): Promise<void> {
  const cache = cachePolicy(options.cache, options.cacheOption);
  if (!cache) throw new OptionError('--cache none: only a method can be timed against the uncached model; name one');
  if (options.runs < 1) throw new OptionError(`--runs: expected at least 1, got ${options.runs}`);
  const { steps: numInferenceSteps, sampler, runs, batchSize, size, model, quiet, json } = options;
  const pipe = await openBenched(options, size);
  const progress = quiet ? undefined : new ProgressLine('Timing');
  try {
    const report = await benchLatency(pipe, {
      ...{ numInferenceSteps, guidanceScale: guidanceOf(options), sampler, cache, runs, batchSize, signal },
      onProgress: ({ done, what }) => progress?.update(done, what),
    }).finally(() => progress?.end());
    const environment = await benchEnvironment();
    if (json) console.log(JSON.stringify({ ...report, environment }, null, 1));
    else console.log(`${latencyTable(report, size ?? model)}\n\n${environmentLine(environment)}`);
  } finally {
    pipe.dispose();
  }
}

async function quality(options: QualityCliOptions, signal: AbortSignal): Promise<void> {
  const { output, sheet, force = false, json } = options;
  if (options.seeds < 1) throw new OptionError(`--seeds: expected at least 1, got ${options.seeds}`);
  for (const path of [output, sheet]) if (path !== undefined) await checkOutput(path, force);
  const pipe = await openBenched(options);
  try {
    const { report, rows } = await compared(pipe, options, signal);
    const environment = await benchEnvironment();
    const content = JSON.stringify({ ...report, sha256: pipe.sha256, environment }, null, 1);
    if (output !== undefined) await writeWhole(output, Buffer.from(`${content}\n`));
    if (sheet !== undefined) await writeWhole(sheet, await encodePng(await sheetOf(pipe, report, rows), {}));
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
  pipe: DiTPipeline,
  options: QualityCliOptions,
  signal: AbortSignal,
): Promise<{ report: QualityReport; rows: SheetRows }> {
  const { steps: numInferenceSteps, referenceSteps, sampler, batchSize, quiet } = options;
  const seeds = Array.from({ length: options.seeds }, (_, i) => i);
  const progress = quiet ? undefined : new ProgressLine('Comparing');
  const rows = new Map<string, readonly PixelImage[]>();
  const report = await benchQuality(pipe, {
    ...{ seeds, numInferenceSteps, referenceSteps, guidanceScale: guidanceOf(options), sampler, batchSize, signal },
    onProgress: ({ done, what }) => progress?.update(done, what),
    onPictures: ({ method, images }) => {
      rows.set(method, [...(rows.get(method) ?? []), ...images].slice(0, SHEET_COLUMNS));
    },
  }).finally(() => progress?.end());
  return { report, rows };
}

function sheetOf(pipe: DiTPipeline, { classLabels }: QualityReport, rows: SheetRows): Promise<PixelImage> {
  const labels = classLabels.slice(0, SHEET_COLUMNS).map((label) => pipe.labels[label] ?? String(label));
  // the font breaks lines at spaces
  return labelledSheet(
    labels,
    [...rows].map(([method, pictures]) => [method.replaceAll('-', ' '), pictures]),
  );
}

/** @param size instead of a model: random weights of that size */
async function openBenched(options: BenchOptions, size?: string): Promise<DiTPipeline> {
  const { batchSize } = options;
  if (batchSize < 1) throw new OptionError(`--batch-size: expected at least 1, got ${batchSize}`);
  const request: MemoryRequest = { pictures: batchSize, guided: (guidanceOf(options) ?? 2) > 1 };
  if (size === undefined) return openPipeline(options, request);
  const checkpoint = randomCheckpoint(size);
  const backend = await startBackend(options);
  if (!options.forceMemory) checkMemory(checkpoint, request, memoryLimits(backend));
  return DiTPipeline.fromCheckpoint(checkpoint, options.numerics);
}

function guidanceOf({ cfgScale, guidanceScale }: BenchOptions): number | undefined {
  return cfgScale ?? guidanceScale;
}
