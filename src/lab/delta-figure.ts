import type { DeltaAnalysis } from './analyse.ts';
import type { ScaleKind } from './colour-scale.ts';
import type { DeltaMeasure } from './delta-series.ts';
import { type Axis, heatMapDefinitions, heatMapPanel, text } from './heat-map.ts';
import { countSubjects } from './subjects.ts';
import { svgElement, svgText } from './svg.ts';

interface Panel {
  readonly measure: DeltaMeasure;
  readonly title: string;
  readonly subtitle: string;
  readonly scale: ScaleKind;
}

const PANELS: readonly Panel[] = [
  { measure: 'norm', title: 'How much a block adds', subtitle: 'L2 norm ‖Δₛ‖, colours logarithmic', scale: 'log' },
  {
    measure: 'cosine',
    title: 'Same direction as a step before',
    subtitle: 'cosine of Δₛ and Δₛ₋₁, colours by log(1 − cosine)',
    scale: 'near-one',
  },
  {
    measure: 'relativeChange',
    title: 'Change since the step before',
    subtitle: '‖Δₛ − Δₛ₋₁‖ ÷ ‖Δₛ₋₁‖, colours logarithmic',
    scale: 'log',
  },
];
const HEADER = 80;
const MARGIN = 14;
/** So that the header fits where steps are few, or too many for wide cells. */
const LEAST_WIDTH = 900;
/** Ticks of an axis, at most. */
const TICKS = 7;

/**
 * The blocks' residuals as an SVG document: heat maps of steps × blocks for their norm, their cosine between
 * neighbouring steps and their relative change, means over all rows. It has a white ground, for dark viewers, too.
 */
export function deltaFigure(analysis: DeltaAnalysis): string {
  const axes = { xAxis: stepAxis(analysis.timesteps), yAxis: blockAxis(analysis.blocks.length) };
  const panels = PANELS.map(({ measure, ...words }) => {
    const columns = analysis.timesteps.map((_, step) => analysis.blocks.map(({ mean }) => mean[measure][step] ?? null));
    return heatMapPanel({ ...words, ...axes, columns });
  });
  const width = Math.max(LEAST_WIDTH, 2 * MARGIN + panels.reduce((sum, panel) => sum + panel.width, 0));
  const height = HEADER + MARGIN + panels.reduce((most, panel) => Math.max(most, panel.height), 0);
  let x = MARGIN;
  const placed = panels.map((panel) => {
    const markup = svgElement('g', { transform: `translate(${x} ${HEADER})` }, panel.markup);
    x += panel.width;
    return markup;
  });
  const font = { 'font-family': "system-ui, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', sans-serif", 'font-size': 14 };
  const title = `Residuals Δ = h_out − h_in of the blocks of ${lastPart(analysis.model)}`;
  const settings = describe(analysis);
  return `${svgElement(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', ...font },
    svgElement('title', {}, svgText(title)),
    svgElement('desc', {}, svgText(settings.join(' · '))),
    heatMapDefinitions(),
    svgElement('rect', { width, height, fill: '#ffffff' }),
    text(MARGIN + 6, 30, title, { 'font-size': 18, 'font-weight': 600, fill: '#1f2328' }),
    ...settings.map((line, i) => text(MARGIN + 6, 52 + 18 * i, line, { fill: '#57606a' })),
    ...placed,
  )}\n`;
}

/** Two lines. */
function describe(analysis: DeltaAnalysis): string[] {
  const { rows, subjects, timesteps, sampler, eta, guidanceScale, numerics, backend } = analysis;
  const count = (n: number, one: string, more: string) => `${n} ${n === 1 ? one : more}`;
  const pictures = count(subjects.length, 'picture', 'pictures');
  const kinds = countSubjects(subjects, analysis.subjectKind);
  const halves = rows > subjects.length ? 'both guidance halves' : 'the conditional half';
  const steps = count(timesteps.length, 'step', 'steps');
  return [
    `uncached · ${steps} of ${sampler}${eta > 0 ? `, η ${eta}` : ''} · guidance ${guidanceScale} · ${numerics} numerics on ${backend}`,
    `mean over ${halves} of ${pictures} of ${kinds} · grey: no step before`,
  ];
}

/** Step from noise, and the timestep that the model is told. */
function stepAxis(timesteps: readonly number[]): Axis {
  const ticks = ticksOf(timesteps.length).map((index) => ({ index, lines: [`${index}`, `${timesteps[index]}`] }));
  return { title: 'step from noise, timestep below it', ticks };
}

function blockAxis(depth: number): Axis {
  return { title: 'block, from the first', ticks: ticksOf(depth).map((index) => ({ index, lines: [`${index}`] })) };
}

function ticksOf(count: number): number[] {
  const least = Math.ceil(count / TICKS);
  const step =
    [1, 2, 5, 10].map((digit) => digit * 10 ** Math.floor(Math.log10(least))).find((one) => one >= least) ?? 1;
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
}

/** Of a path. */
function lastPart(model: string): string {
  return model.split(/[\\/]/).findLast((part) => part !== '') ?? model;
}
