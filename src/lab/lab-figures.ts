import type { LabRow } from './lab-table.ts';
import { plotSvg, type TopLevelSpec } from './vega-svg.ts';

const FRONTIER_SIZE = { width: 640, height: 420 };
const SWEEP_SIZE = { width: 260, height: 220 };
const BACKGROUND = 'white';

/** What a frontier shows over the speed. */
export type Question = 'converged' | 'frechet' | 'uncached';

interface Axis {
  readonly title: string;
  readonly yTitle: string;
  /** Undefined where a row has none. */
  readonly of: (row: LabRow) => number | undefined;
  readonly better: 'higher' | 'lower';
}

const QUESTIONS: Readonly<Record<Question, Axis>> = {
  converged: {
    title: 'Quality for the time: PSNR to the converged picture',
    ...{ yTitle: 'PSNR, dB', better: 'higher' },
    of: (row) => row.toConverged.psnr,
  },
  frechet: {
    title: 'Quality for the time: Fréchet distance to the converged pictures',
    ...{ yTitle: 'Fréchet distance, lower is nearer', better: 'lower' },
    of: (row) => row.recognised?.frechetDistance,
  },
  uncached: {
    title: 'Fidelity: PSNR to the same steps without cache',
    ...{ yTitle: 'PSNR, dB', better: 'higher' },
    of: (row) => row.toUncached?.psnr,
  },
};

/** Rows as points, speed against nearness; the uncached ones joined by lines, a line a sampler; the best ones named. */
export function frontierFigure(question: Question, rows: readonly LabRow[]): Promise<string> {
  return plotSvg(QUESTIONS[question].title, frontierSpec(question, rows));
}

export function frontierSpec(question: Question, rows: readonly LabRow[]): TopLevelSpec {
  const { title, yTitle, better } = QUESTIONS[question];
  const values = frontierPoints(question, rows);
  const padding = 12;
  const x = {
    field: 'speed',
    type: 'quantitative',
    title: '× faster than the baseline',
    scale: { type: 'log', nice: false, padding },
  } as const;
  const yScale = better === 'lower' ? ({ type: 'log', padding } as const) : ({ zero: false, padding } as const);
  const y = { field: 'value', type: 'quantitative', title: yTitle, scale: yScale } as const;
  const legend = { columns: 1, symbolLimit: 0, labelLimit: 300 };
  const { domain, colours, shapes } = looksOf(values);
  const color = { field: 'family', type: 'nominal', title: null, legend, scale: { domain, range: colours } } as const;
  const shape = { field: 'family', type: 'nominal', title: null, legend, scale: { domain, range: shapes } } as const;
  const named = (side: 'left' | 'right') => ({
    transform: [{ filter: `datum.best && datum.side === '${side}'` }],
    mark: { type: 'text', align: side, dx: side === 'left' ? 7 : -7, dy: -6, fontSize: 9 } as const,
    encoding: { x, y, text: { field: 'method', type: 'nominal' } as const },
  });
  return {
    ...{ title, ...FRONTIER_SIZE, background: BACKGROUND, data: { values } },
    layer: [
      { transform: [{ filter: 'datum.uncached' }], mark: 'line', encoding: { x, y, color } },
      { mark: { type: 'point', filled: true, opacity: 1, size: 55 }, encoding: { x, y, color, shape } },
      named('left'),
      named('right'),
    ],
  };
}

/** The part of the axis from which on names would not fit at the right of their points. */
const ROOM = 0.7;
/** What a name takes of the axes. */
const [NAME_WIDTH, NAME_HEIGHT] = [0.3, 0.02];
/** Of solvers without a cache. */
const DARK = ['#111827', '#dc2626', '#2563eb', '#16a34a', '#9333ea', '#b45309', '#0e7490'];
/** Of the others; one more than there are shapes, so that colours and shapes meet anew until both are used up. */
const LIGHT = ['#f97316', '#0ea5e9', '#84cc16', '#ec4899', '#8b5cf6', '#14b8a6', '#eab308', '#64748b', '#f43f5e'];
const SHAPES = [
  'circle',
  'square',
  'cross',
  'diamond',
  'triangle-up',
  'triangle-down',
  'triangle-right',
  'triangle-left',
];

/** A colour and a shape for each family, solvers first. */
function looksOf(points: readonly FrontierPoint[]) {
  const namesOf = (uncached: boolean) =>
    [...new Set(points.filter((one) => one.uncached === uncached).map(({ family }) => family))].sort();
  const [solvers, others] = [namesOf(true), namesOf(false)];
  const cycled = (list: readonly string[], i: number) => list[i % list.length] ?? '';
  return {
    domain: [...solvers, ...others],
    colours: [...solvers.map((_, i) => cycled(DARK, i)), ...others.map((_, i) => cycled(LIGHT, i))],
    shapes: [...solvers.map(() => 'circle'), ...others.map((_, i) => cycled(SHAPES, i))],
  };
}

interface FrontierPoint {
  readonly speed: number;
  readonly value: number;
  readonly family: string;
  readonly uncached: boolean;
  readonly method: string;
  /** Named: on no sampler's line, no other row is faster and nearer, and no name of a nearer one is in the way. */
  readonly best: boolean;
  /** Where a name begins beside its point: "left" at it, "right" ends there. */
  readonly side: 'left' | 'right';
}

function frontierPoints(question: Question, rows: readonly LabRow[]): FrontierPoint[] {
  const { of, better } = QUESTIONS[question];
  const points = rows.flatMap((row) => {
    const value = of(row);
    if (value === undefined || !Number.isFinite(value)) return [];
    const isUncached = row.family === row.sampler;
    const family = isUncached ? `${row.family}, no cache` : row.family;
    return [{ speed: row.latencyRatio, value, family, uncached: isUncached, method: row.method }];
  });
  const isNearer = (a: number, b: number) => (better === 'higher' ? a > b : a < b);
  const across = alongAxis(points.map(({ speed }) => Math.log(speed)));
  const up = alongAxis(points.map(({ value }) => (better === 'lower' ? Math.log(value) : value)));
  const isBest = points.map(
    (one) => !one.uncached && !points.some(({ speed, value }) => speed > one.speed && isNearer(value, one.value)),
  );
  const isInTheWay = (i: number, k: number) =>
    Math.abs((across[i] ?? 0) - (across[k] ?? 0)) < NAME_WIDTH && Math.abs((up[i] ?? 0) - (up[k] ?? 0)) < NAME_HEIGHT;
  return points.map((one, k) => {
    const isHidden = points.some(({ value }, i) => isBest[i] && isNearer(value, one.value) && isInTheWay(i, k));
    return { ...one, best: isBest[k] === true && !isHidden, side: (across[k] ?? 0) < ROOM ? 'left' : 'right' };
  });
}

/** Where values lie between the least and the greatest, 0 … 1. */
function alongAxis(values: readonly number[]): readonly number[] {
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => (value - least) / (greatest - least || 1));
}

/** What Fig. 5 of Δ-DiT (arXiv 2406.01125) sweeps: the stage bound and the number of cached blocks. */
export type Swept = 'b' | 'N_c';

const SWEPT: Readonly<Record<Swept, string>> = {
  b: 'b, steps that cache the rear before the front',
  N_c: 'N_c, blocks cached',
};

/** Fig. 5 of one setting: PSNR and Fréchet distance over it. Null where the table has fewer than two of its rows. */
export async function sweepFigure(swept: Swept, rows: readonly LabRow[]): Promise<string | null> {
  const spec = sweepSpec(swept, rows);
  return spec && plotSvg(`Δ-DiT over ${SWEPT[swept]}`, spec);
}

export function sweepSpec(swept: Swept, rows: readonly LabRow[]): TopLevelSpec | null {
  const named = new RegExp(`^delta-dit ${swept}=(\\d+),`);
  const values = rows.flatMap((row) => {
    const [, x] = named.exec(row.method) ?? [];
    if (x === undefined) return [];
    const at = { x: Number(x), frechet: row.recognised?.frechetDistance };
    const psnrs = { 'to converged': row.toConverged.psnr, 'to uncached': row.toUncached?.psnr };
    return Object.entries(psnrs).map(([line, psnr]) => ({ ...at, line, psnr }));
  });
  if (values.length < 4) return null;
  const x = { field: 'x', type: 'quantitative', title: SWEPT[swept] } as const;
  const yOf = (field: string, title: string) =>
    ({ field, type: 'quantitative', title, scale: { zero: false } }) as const;
  const mark = { type: 'line', point: true } as const;
  const color = { field: 'line', type: 'nominal', title: null, legend: { orient: 'top' } } as const;
  const left = { ...SWEEP_SIZE, mark, encoding: { x, y: yOf('psnr', 'PSNR, dB'), color } };
  const transform = [{ filter: "datum.line === 'to converged' && isValid(datum.frechet)" }];
  const right = { ...SWEEP_SIZE, transform, mark, encoding: { x, y: yOf('frechet', 'Fréchet distance to converged') } };
  const hasFrechet = values.some(({ frechet }) => frechet !== undefined);
  return { background: BACKGROUND, data: { values }, hconcat: hasFrechet ? [left, right] : [left] };
}
