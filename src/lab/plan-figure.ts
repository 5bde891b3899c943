import type { CachePlan, PlanStep } from '../cache/plan.ts';
import { touchesBlock } from '../cache/site.ts';
import { plotSvg, type TopLevelSpec } from './vega-svg.ts';

export interface NamedPlan {
  readonly name: string;
  readonly plan: CachePlan;
}

const STATES = ['computed', 'computed and stored', 'reused in part', 'reused'] as const;
type State = (typeof STATES)[number];
const COLOURS = ['#cbd5e1', '#64748b', '#fbbf24', '#f97316'];
const COLUMNS = 3;
/** Of a map, in pixels; steps share its width. */
const SIZE = { width: 300, height: 112 };

/** What each plan does with each block at each step: a map a plan, side by side. */
export function plansFigure(plans: readonly NamedPlan[]): Promise<string> {
  return plotSvg('Steps × blocks of each plan', plansSpec(plans));
}

export function plansSpec(plans: readonly NamedPlan[]): TopLevelSpec {
  const domain = [...STATES];
  const legend = { orient: 'top' } as const;
  const color = { field: 'state', type: 'nominal', title: null, legend, scale: { domain, range: COLOURS } } as const;
  const axis = { grid: false };
  const x = { field: 'from', type: 'quantitative', title: 'step, from noise', axis, scale: { nice: false } } as const;
  const yOf = (depth: number) => ({
    ...({ field: 'first', type: 'quantitative', title: 'block' } as const),
    axis,
    scale: { domain: [0, depth], nice: false, reverse: true },
  });
  const mark = { type: 'rect', stroke: 'white', strokeWidth: 0.5, aria: false } as const;
  const concat = plans.map(({ name, plan }) => ({
    ...{ title: { text: name, fontSize: 10 }, ...SIZE, mark },
    data: { values: plan.steps.flatMap((step) => runsOf(step, plan)) },
    encoding: { x, x2: { field: 'to' }, y: yOf(plan.depth), y2: { field: 'end' }, color },
  }));
  return { background: 'white', columns: COLUMNS, concat, resolve: { scale: { color: 'shared' } } };
}

/** Blocks that follow each other and are treated alike at a step, as one: `first` … `end` − 1. */
function runsOf(step: PlanStep, { depth, branches }: CachePlan) {
  const states = Array.from({ length: depth }, (_, block) => stateOf(block, step, branches.length));
  const firsts = [...states.keys()].filter((block) => states[block] !== states[block - 1]);
  return firsts.map((first, i) => ({
    ...{ from: step.step, to: step.step + 1 },
    ...{ first, end: firsts[i + 1] ?? depth, state: states[first] },
  }));
}

function stateOf(block: number, { record, reuse }: PlanStep, branches: number): State {
  const reused = reuse.filter((site) => touchesBlock(site, block));
  if (reused.some(({ kind }) => kind !== 'branch') || reused.length === branches) return 'reused';
  if (reused.length > 0) return 'reused in part';
  return record.some((site) => touchesBlock(site, block)) ? 'computed and stored' : 'computed';
}
