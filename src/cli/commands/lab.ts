import { Command } from 'commander';
import {
  type BenchProgress,
  type ExtractedRows,
  type FeatureExtractor,
  GRID_NAMES,
  type LabGrid,
  type LabMethod,
  type LabResults,
  type LabTiming,
  labGrid,
  OptionError,
  openFeatureExtractor,
  type Painter,
  runLab,
  subjectsInTurn,
  timeLab,
  uncached,
} from '../../index.ts';
import { finiteNumber, wholeNumber } from '../arguments.ts';
import { benchEnvironment } from '../bench-environment.ts';
import { findModel } from '../find-model.ts';
import { withInterrupt } from '../interrupt.ts';
import { measureLabDeltas } from '../lab-deltas.ts';
import { LabFolder, slug } from '../lab-folder.ts';
import { readGridFile } from '../lab-grid-file.ts';
import { writeLabOutput } from '../lab-output.ts';
import { withLabSubjects } from '../lab-subjects.ts';
import { LabTimings } from '../lab-timings.ts';
import { withModelOptions } from '../model-options.ts';
import { type BenchedOptions, guidanceOf, openBenched } from '../open-benched.ts';
import { ProgressLine } from '../progress.ts';

interface LabCliOptions extends BenchedOptions {
  readonly grid: readonly string[];
  readonly seeds: number;
  readonly steps?: number;
  readonly referenceSteps?: number;
  readonly convergedFrom?: string;
  readonly timingRounds: number;
  readonly timingBatch: number;
  readonly timingOnly?: boolean;
  readonly out: string;
  readonly features: string | false;
  readonly plots: boolean;
  readonly json?: boolean;
}

const GRID_HELP = `methods to compare: some of ${GRID_NAMES.join(', ')}, or files such as {"methods": [{"cache": "delta-dit", "options": {"interval": 3}, "sampler": "unipc", "steps": 30}, {"cache": "plan.json"}]}`;

export function labCommand(): Command {
  const command = new Command('lab').description(
    'compare cache methods, solvers and numbers of steps on one model: tables and plots of quality for the time',
  );
  return withTiming(withLabSubjects(withModelOptions(command), 'class by name or number (default: all in turn)'))
    .option('--grid <names>', GRID_HELP, gridNames, ['methods'])
    .option('--seeds <n>', 'pictures, with seeds from 0 on, over the classes or prompts in turn', wholeNumber, 64)
    .option('--steps <n>', 'T of the comparison (default: the checkpoint’s, else 20)', wholeNumber)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .option('--batch-size <n>', 'pictures that run through the model together', wholeNumber, 8)
    .option(
      '--reference-steps <n>',
      'uncached DDIM steps of the pictures that all are judged by (default: 250; of LCM its own, 8)',
      wholeNumber,
    )
    .option('--converged-from <folder>', 'judge by the converged pictures of another laboratory, such as a teacher’s')
    .option('--out <folder>', 'where pictures, tables and plots go; run again, it goes on where it was', 'lab')
    .option(
      '--features <name>',
      'image classifier for Fréchet distance, Inception Score, agreement',
      'emoji-classifier',
    )
    .option('--no-features', 'leave these out')
    .option('--no-plots', 'draw none')
    .option('--json', 'print the table as JSON, too')
    .action((options: LabCliOptions) => withInterrupt((signal) => lab(options, signal)));
}

function withTiming(command: Command): Command {
  return command
    .option('--timing-rounds <n>', 'then every method is timed so often, on its own; 0: not at all', wholeNumber, 5)
    .option('--timing-batch <n>', 'pictures that run together while methods are timed', wholeNumber, 1)
    .option('--timing-only', 'time the methods and make no pictures');
}

/** @throws OptionError for what is neither a grid nor a file */
function gridNames(text: string): readonly string[] {
  return text.split(',').map((part) => {
    const name = part.trim();
    if (isFile(name) || GRID_NAMES.some((known) => known === name)) return name;
    throw new OptionError(
      `--grid: expected names of ${GRID_NAMES.join(', ')}, or JSON files; got ${JSON.stringify(part)}`,
    );
  });
}

function isFile(name: string): boolean {
  return name.endsWith('.json');
}

async function lab(options: LabCliOptions, signal: AbortSignal): Promise<void> {
  if (options.seeds < 2) throw new OptionError(`--seeds: expected at least 2, got ${options.seeds}`);
  if (options.timingOnly && options.timingRounds < 1)
    throw new OptionError(`--timing-only: needs --timing-rounds of at least 1, got ${options.timingRounds}`);
  const features =
    options.features === false || options.timingOnly
      ? undefined
      : await findModel(options.features, { quiet: options.quiet, flag: '--features' });
  const benched = await openBenched(options);
  const { painter } = benched;
  const extractor = features === undefined ? undefined : await openFeatureExtractor(features);
  try {
    const subjects = subjectsInTurn(painter, benched.subjects, options.seeds);
    const given = { numInferenceSteps: options.steps, guidanceScale: guidanceOf(options), seed: 0 };
    const { sampler, timesteps, backend, guidanceScale } = await painter.describe(subjects.slice(0, 1), given);
    const made = await gridOf(painter, options, { sampler, numInferenceSteps: timesteps.length });
    const grid = options.convergedFrom === undefined ? made : judgedBy(made, options);
    await runWhole(painter, { grid, subjects, guidanceScale, backend, extractor, signal }, options);
  } finally {
    extractor?.dispose();
    painter.pipe.dispose();
  }
}

async function gridOf(
  painter: Painter,
  { grid: names, referenceSteps }: LabCliOptions,
  setting: Parameters<typeof readGridFile>[2],
): Promise<LabGrid> {
  const { depth } = painter.pipe.transformer.config;
  const known = GRID_NAMES.filter((name) => names.includes(name));
  const own: LabMethod[] = [];
  for (const file of names.filter(isFile)) own.push(...(await readGridFile(file, painter, setting)));
  const grid = labGrid(known, { ...setting, depth, referenceSteps }, own);
  const folders = new Map<string, string>();
  for (const { name } of grid.methods) {
    const other = folders.get(slug(name));
    if (other !== undefined)
      throw new OptionError(`--grid: ${JSON.stringify(other)} and ${JSON.stringify(name)} make one folder; rename one`);
    folders.set(slug(name), name);
  }
  return grid;
}

/** The same grid, judged by pictures that it does not make: DDIM's of another model. */
function judgedBy(grid: LabGrid, { referenceSteps = 250 }: LabCliOptions): LabGrid {
  const converged = uncached('ddim', referenceSteps);
  return { ...grid, converged, methods: grid.methods.filter(({ name }) => name !== grid.converged.name) };
}

interface LabRunSetting {
  readonly grid: LabGrid;
  /** One a picture. */
  readonly subjects: readonly string[];
  readonly guidanceScale: number;
  readonly backend: string;
  readonly extractor: FeatureExtractor | undefined;
  readonly signal: AbortSignal;
}

/** Pictures, times, then the table. */
async function runWhole(painter: Painter, setting: LabRunSetting, options: LabCliOptions): Promise<void> {
  const { grid, subjects, guidanceScale, backend, extractor } = setting;
  const { name: model, sha256 } = painter.pipe;
  const { batchSize, out, quiet, timingOnly, plots, convergedFrom } = options;
  const folder = await LabFolder.open(out, { model, sha256, backend, guidanceScale, batchSize, subjects });
  const foreign =
    convergedFrom === undefined ? undefined : await LabFolder.ofSame(convergedFrom, { batchSize, subjects });
  const progress = quiet ? undefined : new ProgressLine('Laboratory');
  try {
    const onProgress = ({ done, what }: BenchProgress) => progress?.update(done, what);
    if (!timingOnly) await makePictures(painter, folder, setting, batchSize, onProgress);
    const times = await timed(painter, setting, options, onProgress);
    if (timingOnly) return console.error(`Wrote ${times?.file}; "lab" without --timing-only makes the table`);
    const deltas = plots ? [await labDeltas(painter, setting, options, onProgress)] : [];
    const results: LabResults[] = foreign ? [await foreignResults(foreign, setting, options)] : [];
    for (const [i, method] of grid.methods.entries()) {
      progress?.update(i / grid.methods.length, `reading ${method.name}`);
      const timings = times?.timings.filter((one) => one.method === method.name);
      results.push(await loaded(folder, method, options, extractor, timings));
    }
    const timedOn = times?.setting.environment ?? null;
    const made = { grid, subjects, guidanceScale, labels: extractor?.labels, timedOn };
    const onRow = (done: number, method: string) => progress?.update(done, `measuring ${method}`);
    const written = await writeLabOutput(painter, made, results, { out, plots, figures: deltas, onProgress: onRow });
    progress?.end();
    if (options.json) console.log(written.json);
    else if (!quiet) console.error(`Wrote ${out}/table.md and ${written.plots} plots`);
  } finally {
    progress?.end();
  }
}

/** What all are judged by, made by another model from the same subjects and seeds. */
function foreignResults(
  folder: LabFolder,
  { grid: { converged }, extractor }: LabRunSetting,
  options: LabCliOptions,
): Promise<LabResults> {
  return loaded(folder, converged, options, extractor, undefined);
}

async function makePictures(
  painter: Painter,
  store: LabFolder,
  { grid: { methods }, subjects, guidanceScale, signal }: LabRunSetting,
  batchSize: number,
  onProgress: (progress: BenchProgress) => void,
): Promise<void> {
  const pictures = subjects.map((subject, seed) => ({ subject, seed }));
  await runLab(painter, methods, { pictures, batchSize, guidanceScale, store, signal, onProgress });
}

function labDeltas(
  painter: Painter,
  { grid: { compared }, subjects, guidanceScale, signal }: LabRunSetting,
  { out, batchSize }: LabCliOptions,
  onProgress: (progress: BenchProgress) => void,
): Promise<string> {
  return measureLabDeltas(painter, out, { compared, subjects, guidanceScale, batchSize, signal, onProgress });
}

/** Times what is not timed yet. @returns undefined where nothing was timed, ever */
async function timed(
  painter: Painter,
  { grid: { methods, baseline, converged }, subjects, guidanceScale, signal }: LabRunSetting,
  { out, timingRounds: rounds, timingBatch: batchSize }: LabCliOptions,
  onProgress: (progress: BenchProgress) => void,
): Promise<LabTimings | undefined> {
  if (rounds === 0) return LabTimings.read(out);
  const store = await LabTimings.open(out, { environment: await benchEnvironment(), batchSize });
  const pictures = subjects.map((subject, seed) => ({ subject, seed }));
  const compared = methods.filter(({ name }) => name !== converged.name);
  const onTime = ({ done, what }: BenchProgress) => onProgress({ done, what: `timing ${what}` });
  const options = { pictures, rounds, batchSize, baseline, guidanceScale, store, signal, onProgress: onTime };
  await timeLab(painter, compared, options);
  return store;
}

async function loaded(
  folder: LabFolder,
  method: LabMethod,
  { seeds, batchSize }: LabCliOptions,
  extractor: FeatureExtractor | undefined,
  timings: readonly LabTiming[] | undefined,
): Promise<LabResults> {
  const firsts = Array.from({ length: Math.ceil(seeds / batchSize) }, (_, i) => i * batchSize);
  const read = await Promise.all(
    firsts.map((first) => folder.load(method.name, first, Math.min(batchSize, seeds - first))),
  );
  const images = read.flatMap((one) => one.images);
  const extracted: ExtractedRows | null = extractor ? await extractor.extract(images) : null;
  return { method, batches: read.map(({ batch }) => batch), timings, images, extracted };
}
