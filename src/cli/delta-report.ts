import { version_core } from '@tensorflow/tfjs-core';
import { defaultStageBound } from '../cache/stage-planner.ts';
import { DELTA_MEASURES, type DeltaAnalysis, type Painter, type Region } from '../index.ts';
import { packageVersion } from './package-folder.ts';
import { aligned } from './table.ts';

/** A float32 sum over a hundred thousand values has no more. */
const DIGITS = 6;

/** The analysis as a JSON file, with what made it and what its fields mean. */
export function analysisJson({ pipe }: Painter, analysis: DeltaAnalysis): string {
  const { timesteps, rows, blocks, spans, ...settings } = analysis;
  const content = {
    format: 'delta-dit-analysis',
    version: 1,
    versions: { 'delta-dit': packageVersion(), tfjs: version_core, node: process.versions.node },
    settings: {
      ...settings,
      sha256: pipe.sha256,
      numInferenceSteps: timesteps.length,
      ...('labels' in pipe ? { classes: settings.subjects.map((label) => pipe.labels[Number(label)] ?? label) } : {}),
      cache: null,
      dtype: 'float32',
      rng: 'torch-cpu',
    },
    fields: {
      timesteps: 'one a step, from noise',
      rows: 'pictures × guidance halves; each is measured on its own',
      blocks: 'each block (first, count 1): mean and std over the rows, a list over the steps for each measure',
      spans: 'the same of the spans that Δ-Cache would skip',
      Δ: 'h_out − h_in of a block or span, tokens × channels',
      ...DELTA_MEASURES,
      null: 'undefined: there is no step before, or a norm below the line is 0',
    },
    timesteps,
    rows,
    blocks,
    spans,
  };
  return `${linesOf(JSON.stringify(content, rounded, 1))}\n`;
}

/** Whole numbers stay: a seed has more digits. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
}

/** Lists of numbers on one line each: a file that can be read, and compared line by line. */
function linesOf(json: string): string {
  return json.replace(/\[\n\s*([^[\]{}"]*?)\n\s*\]/g, (_, list: string) => `[${list.replace(/\s+/g, ' ')}]`);
}

/** What Δ-Cache would get wrong in either stage of Δ-DiT, in words. */
export function analysisSummary({ rows, timesteps, subjects, blocks, spans }: DeltaAnalysis): string {
  const steps = timesteps.length;
  const bound = defaultStageBound(steps);
  const measured = `${subjects.length} pictures × ${rows / subjects.length} guidance halves, ${steps} steps, ${blocks.length} blocks, uncached`;
  const stages = [
    { title: `steps 1–${bound - 1}`, from: 1, to: bound },
    { title: `steps ${bound}–${steps - 1}`, from: bound, to: steps },
  ].filter(({ from, to }) => to > from);
  if (stages.length === 0 || spans.length === 0) return measured;
  const table = [
    ['', ...stages.map(({ title }) => title)],
    ...spans.map(({ region, first, count, mean }) => [
      `${region}, blocks ${first}–${first + count - 1}`,
      ...stages.map(({ from, to }) => percent(average(mean.reuseError.slice(from, to)))),
    ]),
  ];
  return [
    measured,
    'Relative error of the tokens behind a span, had Δ-Cache reused its residual of the step before (mean):',
    ...aligned(table).map((line) => `  ${line}`),
    crossing(spans, steps),
  ].join('\n');
}

/** From where to the end skipping the front costs less than skipping the rear, which is what Δ-DiT supposes. */
function crossing(spans: DeltaAnalysis['spans'], steps: number): string {
  const errors = (region: Region) => spans.find((span) => span.region === region)?.mean.reuseError ?? [];
  const rear = errors('rear');
  const isFrontBetter = errors('front').map((error, step) => (error ?? 0) < (rear[step] ?? 0));
  const from = isFrontBetter.lastIndexOf(false) + 1;
  const found = from < steps ? `from step ${from} to the end` : 'not at the end';
  return `The front errs less than the rear ${found}; Δ-DiT changes to it at step ${defaultStageBound(steps)} by default.`;
}

function average(values: readonly (number | null)[]): number {
  return values.reduce<number>((sum, value) => sum + (value ?? Number.NaN), 0) / values.length;
}

function percent(part: number): string {
  return Number.isFinite(part) ? `${(100 * part).toFixed(1)} %` : '–';
}
