import type { CachePlan } from '../cache/plan.ts';
import { touchesBlock } from '../cache/site.ts';
import type { LabRow } from './lab-table.ts';
import { plotSvg, type TopLevelSpec } from './vega-svg.ts';

const SIZE = { width: 420, height: 300 };
const BACKGROUND = 'white';

/** Which of the two questions a frontier answers. */
export type Question = 'converged' | 'uncached';

const TITLES: Readonly<Record<Question, string>> = {
  converged: 'Quality for the time: PSNR to the converged picture',
  uncached: 'Fidelity: PSNR to the same steps without cache',
};

/** Rows as points, speed against PSNR; the uncached ones joined by lines, a line a sampler. */
export function frontierFigure(question: Question, rows: readonly LabRow[]): Promise<string> {
  return plotSvg(TITLES[question], frontierSpec(question, rows));
}

export function frontierSpec(question: Question, rows: readonly LabRow[]): TopLevelSpec {
  const values = rows.flatMap((row) => {
    const psnr = (question === 'converged' ? row.toConverged : row.toUncached)?.psnr;
    if (psnr === undefined || !Number.isFinite(psnr)) return [];
    const isUncached = row.family === row.sampler;
    const family = isUncached ? `${row.family}, no cache` : row.family;
    return [{ speed: row.latencyRatio, psnr, family, uncached: isUncached, method: row.method }];
  });
  const encoding = {
    x: {
      field: 'speed',
      type: 'quantitative',
      title: '× faster than the baseline',
      scale: { type: 'log', nice: false },
    },
    y: { field: 'psnr', type: 'quantitative', title: 'PSNR, dB', scale: { zero: false } },
    color: { field: 'family', type: 'nominal', title: null, scale: { scheme: 'tableau20' } },
  } as const;
  return {
    ...{ title: TITLES[question], ...SIZE, background: BACKGROUND, data: { values } },
    layer: [
      { transform: [{ filter: 'datum.uncached' }], mark: { type: 'line', point: true }, encoding },
      {
        transform: [{ filter: '!datum.uncached' }],
        mark: { type: 'point', filled: true, size: 70 },
        encoding: { ...encoding, shape: { field: 'family', type: 'nominal', legend: null } },
      },
    ],
  };
}

const STATES = ['computed', 'computed and stored', 'reused in part', 'reused'] as const;
const STATE_COLOURS = ['#cbd5e1', '#64748b', '#fbbf24', '#f97316'];

/** What a plan does with each block at each step. */
export function planFigure(name: string, plan: CachePlan): Promise<string> {
  return plotSvg(`Steps × blocks of ${name}`, planSpec(name, plan));
}

export function planSpec(name: string, plan: CachePlan): TopLevelSpec {
  const values = plan.steps.flatMap(({ step, record, reuse }) =>
    Array.from({ length: plan.depth }, (_, block) => {
      const reused = reuse.filter((site) => touchesBlock(site, block));
      const isWhole = reused.some(({ kind }) => kind !== 'branch') || reused.length === plan.branches.length;
      const recorded = record.some((site) => touchesBlock(site, block));
      const state = isWhole ? 3 : reused.length > 0 ? 2 : recorded ? 1 : 0;
      return { step, block, state: STATES[state] };
    }),
  );
  return {
    ...{ title: name, background: BACKGROUND, data: { values } },
    ...{ width: { step: 14 }, height: { step: 8 } },
    mark: { type: 'rect', stroke: 'white', strokeWidth: 1 },
    encoding: {
      x: { field: 'step', type: 'ordinal', title: 'step, from noise', axis: { labelAngle: 0, labelOverlap: true } },
      y: { field: 'block', type: 'ordinal', title: 'block', axis: { labelOverlap: true } },
      color: { field: 'state', type: 'nominal', title: null, scale: { domain: [...STATES], range: STATE_COLOURS } },
    },
  };
}

/** A measure over a setting that is swept, a line a name. */
export interface Sweep {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly points: readonly { readonly x: number; readonly y: number; readonly line: string }[];
}

/** Such as the paper's Fig. 5: quality over b and over N_c. */
export function sweepFigure({ title, xTitle, yTitle, points }: Sweep): Promise<string> {
  const spec: TopLevelSpec = {
    ...{ title, ...SIZE, background: BACKGROUND, data: { values: [...points] } },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: xTitle },
      y: { field: 'y', type: 'quantitative', title: yTitle, scale: { zero: false } },
      color: { field: 'line', type: 'nominal', title: null },
    },
  };
  return plotSvg(title, spec);
}
