import { join } from 'node:path';
import { Command } from 'commander';
import {
  type BenchProgress,
  type ExtractedRows,
  type FeatureExtractor,
  frontierFigure,
  GRID_NAMES,
  type GridName,
  type LabGrid,
  type LabMethod,
  type LabResults,
  type LabRow,
  labelsOf,
  labGrid,
  labTable,
  OptionError,
  openFeatureExtractor,
  type Painter,
  planFigure,
  runLab,
  samplingOf,
  subjectsInTurn,
  type WantedSubject,
} from '../../index.ts';
import { finiteNumber, wholeNumber } from '../arguments.ts';
import { benchEnvironment } from '../bench-environment.ts';
import { findModel } from '../find-model.ts';
import { withInterrupt } from '../interrupt.ts';
import { LabFolder, slug } from '../lab-folder.ts';
import { labReport } from '../lab-report.ts';
import { withLabSubjects } from '../lab-subjects.ts';
import { withModelOptions } from '../model-options.ts';
import { type BenchedOptions, guidanceOf, openBenched } from '../open-benched.ts';
import { writeWhole } from '../pictures.ts';
import { ProgressLine } from '../progress.ts';

interface LabCliOptions extends BenchedOptions {
  readonly grid: readonly GridName[];
  readonly seeds: number;
  readonly steps?: number;
  readonly referenceSteps: number;
  readonly out: string;
  readonly features: string | false;
  readonly plots: boolean;
  readonly json?: boolean;
}

export function labCommand(): Command {
  const command = new Command('lab').description(
    'compare cache methods, solvers and numbers of steps on one model: tables and plots of quality for the time',
  );
  return withLabSubjects(withModelOptions(command), 'class by name or number (default: all in turn)')
    .option('--grid <names>', `methods to compare, of ${GRID_NAMES.join(', ')}`, gridNames, ['methods'])
    .option('--seeds <n>', 'pictures, with seeds from 0 on, over the classes or prompts in turn', wholeNumber, 64)
    .option('--steps <n>', 'T of the comparison (default: the checkpoint’s, else 20)', wholeNumber)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .option('--batch-size <n>', 'pictures that run through the model together', wholeNumber, 8)
    .option('--reference-steps <n>', 'uncached DDIM steps of the pictures that all are judged by', wholeNumber, 250)
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

function gridNames(text: string): readonly GridName[] {
  return text.split(',').map((name) => {
    const known = GRID_NAMES.find((other) => other === name.trim());
    if (!known)
      throw new OptionError(`--grid: expected names of ${GRID_NAMES.join(', ')}; got ${JSON.stringify(name)}`);
    return known;
  });
}

async function lab(options: LabCliOptions, signal: AbortSignal): Promise<void> {
  if (options.seeds < 2) throw new OptionError(`--seeds: expected at least 2, got ${options.seeds}`);
  const features =
    options.features === false
      ? undefined
      : await findModel(options.features, { quiet: options.quiet, flag: '--features' });
  const benched = await openBenched(options);
  const { painter } = benched;
  const extractor = features === undefined ? undefined : await openFeatureExtractor(features);
  try {
    const subjects = subjectsInTurn(painter, benched.subjects, options.seeds);
    const given = { numInferenceSteps: options.steps, guidanceScale: guidanceOf(options), seed: 0 };
    const { sampler, timesteps, backend, guidanceScale } = await painter.describe(subjects.slice(0, 1), given);
    const { depth } = painter.pipe.transformer.config;
    const { referenceSteps } = options;
    const grid = labGrid(options.grid, { numInferenceSteps: timesteps.length, depth, sampler, referenceSteps });
    const setting: LabRunSetting = { grid, subjects, guidanceScale, backend, extractor, signal };
    await writeReport(painter, setting, await madePictures(painter, setting, options), options);
  } finally {
    extractor?.dispose();
    painter.pipe.dispose();
  }
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

async function madePictures(
  painter: Painter,
  { grid: { methods }, subjects, guidanceScale, backend, extractor, signal }: LabRunSetting,
  options: LabCliOptions,
): Promise<readonly LabResults[]> {
  const { name: model, sha256 } = painter.pipe;
  const { batchSize, out, quiet } = options;
  const folder = await LabFolder.open(out, { model, sha256, backend, guidanceScale, batchSize, subjects });
  const pictures = subjects.map((subject, seed) => ({ subject, seed }));
  const progress = quiet ? undefined : new ProgressLine('Laboratory');
  const onProgress = ({ done, what }: BenchProgress) => progress?.update(done, what);
  try {
    await runLab(painter, methods, { pictures, batchSize, guidanceScale, store: folder, signal, onProgress });
    const results: LabResults[] = [];
    for (const [i, method] of methods.entries()) {
      progress?.update(i / methods.length, `measuring ${method.name}`);
      results.push(await loaded(folder, method, options, extractor));
    }
    return results;
  } finally {
    progress?.end();
  }
}

async function loaded(
  folder: LabFolder,
  method: LabMethod,
  { seeds, batchSize }: LabCliOptions,
  extractor: FeatureExtractor | undefined,
): Promise<LabResults> {
  const firsts = Array.from({ length: Math.ceil(seeds / batchSize) }, (_, i) => i * batchSize);
  const read = await Promise.all(
    firsts.map((first) => folder.load(method.name, first, Math.min(batchSize, seeds - first))),
  );
  const images = read.flatMap((one) => one.images);
  const extracted: ExtractedRows | null = extractor ? await extractor.extract(images) : null;
  return { method, batches: read.map(({ batch }) => batch), images, extracted };
}

async function writeReport(
  painter: Painter,
  { grid, subjects, guidanceScale, extractor }: LabRunSetting,
  results: readonly LabResults[],
  options: LabCliOptions,
): Promise<void> {
  const { pipe } = painter;
  const [baseline, converged] = [grid.baseline.name, grid.converged.name];
  const wanted = extractor && subjects.map((subject) => labelsOf(wantedOf(painter, subject), extractor.labels));
  const rows = labTable(results, { baseline, converged, wanted });
  const environment = await benchEnvironment();
  const figures = options.plots ? await drawn(painter, grid, rows, options.out) : [];
  const command = `delta-dit ${process.argv.slice(2).join(' ')}`;
  const title = `Laboratory: ${pipe.name}`;
  const head = { title, command, environment, pictures: subjects.length, guidanceScale, baseline, converged };
  const json = `${JSON.stringify({ ...head, rows }, null, 1)}\n`;
  await writeWhole(join(options.out, 'table.json'), Buffer.from(json));
  await writeWhole(join(options.out, 'table.md'), Buffer.from(labReport(head, rows, figures)));
  if (options.json) console.log(json);
  else if (!options.quiet) console.error(`Wrote ${join(options.out, 'table.md')} and ${figures.length} plots`);
}

function wantedOf({ pipe }: Painter, subject: string): WantedSubject {
  if (!('labels' in pipe)) return { kind: 'prompt', text: subject };
  return { kind: 'class', text: pipe.labels[Number(subject)] ?? subject };
}

/** The names of the files that were written. */
async function drawn({ pipe }: Painter, { methods }: LabGrid, rows: readonly LabRow[], out: string): Promise<string[]> {
  const figures = new Map<string, string>();
  for (const question of ['converged', 'uncached'] as const)
    figures.set(`frontier-${question}.svg`, await frontierFigure(question, rows));
  for (const { name, cache, ...setting } of methods) {
    const plan = cache && pipe.plan({ ...samplingOf(setting), cache });
    if (plan) figures.set(`plan-${slug(name)}.svg`, await planFigure(name, plan));
  }
  for (const [name, svg] of figures) await writeWhole(join(out, name), Buffer.from(svg));
  return [...figures.keys()];
}
