import { join } from 'node:path';
import {
  type FeatureExtractor,
  frontierFigure,
  judgeClaims,
  type LabGrid,
  type LabResults,
  type LabRow,
  labelsOf,
  labTable,
  type Painter,
  type PaperModel,
  plansFigure,
  samplingOf,
  sweepFigure,
  type WantedSubject,
} from '../index.ts';
import { type BenchEnvironment, benchEnvironment } from './bench-environment.ts';
import { type LabHead, labReport } from './lab-report.ts';
import { writeWhole } from './pictures.ts';

/** What a laboratory's table is of. */
export interface MadeLab {
  readonly grid: LabGrid;
  /** One a picture. */
  readonly subjects: readonly string[];
  readonly guidanceScale: number;
  /** Of the classifier; undefined without one. */
  readonly labels: FeatureExtractor['labels'] | undefined;
  readonly timedOn: BenchEnvironment | null;
}

export interface LabOutputOptions {
  readonly out: string;
  readonly plots: boolean;
  /** Names of plots that are there already. */
  readonly figures: readonly string[];
  readonly onProgress: (done: number, method: string) => void;
}

/** Writes table.json, table.md and the plots. @returns the table as JSON, and how many plots there are */
export async function writeLabOutput(
  painter: Painter,
  { grid, subjects, guidanceScale, labels, timedOn }: MadeLab,
  results: readonly LabResults[],
  { out, plots, figures: others, onProgress }: LabOutputOptions,
): Promise<{ readonly json: string; readonly plots: number }> {
  const [baseline, converged] = [grid.baseline.name, grid.converged.name];
  const wanted = labels && subjects.map((subject) => labelsOf(wantedOf(painter, subject), labels));
  const rows = labTable(results, { baseline, converged, wanted, onProgress });
  const figures = [...(plots ? await drawn(painter, grid, rows, out) : []), ...others];
  const head: LabHead = {
    ...{ title: `Laboratory: ${painter.pipe.name}`, command: `delta-dit ${process.argv.slice(2).join(' ')}` },
    ...{ environment: await benchEnvironment(), timedOn: rows[0]?.timed.kind === 'rounds' ? timedOn : null },
    ...{ pictures: subjects.length, guidanceScale, baseline, converged },
  };
  const { depth } = painter.pipe.transformer.config;
  const { sampler, numInferenceSteps } = grid.compared;
  const claims = judgeClaims(rows, { model: paperModelOf(painter, sampler), sampler, numInferenceSteps, depth });
  const json = `${JSON.stringify({ ...head, rows, claims }, null, 1)}\n`;
  await writeWhole(join(out, 'table.json'), Buffer.from(json));
  await writeWhole(join(out, 'table.md'), Buffer.from(labReport(head, rows, claims, figures)));
  return { json, plots: figures.length };
}

/** The paper's model of the same kind. */
function paperModelOf({ pipe }: Painter, sampler: string): PaperModel {
  if ('labels' in pipe) return 'DiT-XL';
  return sampler === 'lcm' ? 'PixArt-α-LCM' : 'PixArt-α';
}

function wantedOf({ pipe }: Painter, subject: string): WantedSubject {
  if (!('labels' in pipe)) return { kind: 'prompt', text: subject };
  return { kind: 'class', text: pipe.labels[Number(subject)] ?? subject };
}

/** The names of the files that were written. */
async function drawn({ pipe }: Painter, { methods }: LabGrid, rows: readonly LabRow[], out: string): Promise<string[]> {
  const figures = new Map<string, string>();
  const hasFeatures = rows.some(({ recognised }) => recognised);
  for (const question of ['converged', ...(hasFeatures ? (['frechet'] as const) : []), 'uncached'] as const)
    figures.set(`frontier-${question}.svg`, await frontierFigure(question, rows));
  for (const [swept, name] of [
    ['b', 'sweep-b'],
    ['N_c', 'sweep-cached-blocks'],
  ] as const) {
    const svg = await sweepFigure(swept, rows);
    if (svg !== null) figures.set(`${name}.svg`, svg);
  }
  const plans = methods.flatMap(({ name, cache, ...setting }) => {
    const plan = cache && pipe.plan({ ...samplingOf(setting), cache });
    return plan ? [{ name, plan }] : [];
  });
  if (plans.length > 0) figures.set('plans.svg', await plansFigure(plans));
  for (const [name, svg] of figures) await writeWhole(join(out, name), Buffer.from(svg));
  return [...figures.keys()];
}
