import { colourScale, type ScaleKind } from './colour-scale.ts';
import { svgElement, svgText } from './svg.ts';
import { VIRIDIS } from './viridis.ts';

export interface HeatMap {
  readonly title: string;
  /** What one cell says, under the title. */
  readonly subtitle: string;
  /** Left to right, each from the top; null is drawn grey. */
  readonly columns: readonly (readonly (number | null)[])[];
  readonly scale: ScaleKind;
  readonly xAxis: Axis;
  readonly yAxis: Axis;
}

export interface Axis {
  readonly title: string;
  /** Lines of text at the middle of a cell. */
  readonly ticks: readonly { readonly index: number; readonly lines: readonly string[] }[];
}

/** Of the cells, in pixels, where they are not too many. */
const PLOT = 256;
const MARGIN = { left: 56, top: 52, right: 84, bottom: 70 };
const BAR = { gap: 12, width: 14 };
const LINE = 17;
const INK = '#1f2328';
const FAINT = '#57606a';
const MISSING = '#d8dee4';
const BAR_COLOURS = 'heat-map-colours';

/** Once in a document that holds heat maps: the colours of their bars. */
export function heatMapDefinitions(): string {
  const stops = VIRIDIS.map((colour, i) =>
    svgElement('stop', { offset: i / (VIRIDIS.length - 1), 'stop-color': colour }),
  );
  return svgElement(
    'defs',
    {},
    svgElement('linearGradient', { id: BAR_COLOURS, x1: 0, y1: 1, x2: 0, y2: 0 }, ...stops),
  );
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** A panel with axes and colour bar: SVG markup from its top left corner, and its size in pixels. */
export function heatMapPanel(map: HeatMap): Size & { readonly markup: string } {
  const columns = map.columns.length;
  const rows = map.columns.reduce((most, column) => Math.max(most, column.length), 0);
  const cell = { width: cellSize(columns), height: cellSize(rows) };
  const plot = { width: cell.width * columns, height: cell.height * rows };
  const markup = svgElement(
    'g',
    { transform: `translate(${MARGIN.left} ${MARGIN.top})` },
    text(0, -31, map.title, { 'font-size': 16, 'font-weight': 600, fill: INK }),
    text(0, -11, map.subtitle, { fill: FAINT }),
    ...cellsAndBar(map, cell, plot),
    ...axisBelow(map.xAxis, cell.width, plot),
    ...axisAtLeft(map.yAxis, cell.height, plot),
  );
  const [width, height] = [MARGIN.left + plot.width + MARGIN.right, MARGIN.top + plot.height + MARGIN.bottom];
  return { markup, width, height };
}

/** Whole pixels, so that neighbours touch. */
function cellSize(count: number): number {
  return Math.max(1, Math.floor(PLOT / Math.max(1, count)));
}

function axisBelow({ title, ticks }: Axis, cell: number, plot: Size): string[] {
  const below = (x: number, y: number, content: string, fill: string) =>
    text(x, plot.height + y, content, { 'text-anchor': 'middle', fill });
  const marks = ticks.flatMap(({ index, lines }) => {
    const x = (index + 0.5) * cell;
    const [first = '', ...others] = lines;
    return [
      line(x, plot.height, x, plot.height + 4),
      below(x, 18, first, INK),
      ...others.map((other, i) => below(x, 18 + (i + 1) * LINE, other, FAINT)),
    ];
  });
  return [...marks, below(plot.width / 2, MARGIN.bottom - 12, title, INK)];
}

function axisAtLeft({ title, ticks }: Axis, cell: number, plot: Size): string[] {
  const marks = ticks.flatMap(({ index, lines }) => {
    const y = (index + 0.5) * cell;
    return [line(-4, y, 0, y), text(-7, y + 5, lines.join(' '), { 'text-anchor': 'end', fill: INK })];
  });
  const upwards = `translate(-38 ${plot.height / 2}) rotate(-90)`;
  return [...marks, text(0, 0, title, { 'text-anchor': 'middle', fill: INK, transform: upwards })];
}

function cellsAndBar(map: HeatMap, cell: Size, plot: Size): string[] {
  const scale = colourScale(map.columns.flat(), map.scale);
  const cells = map.columns.flatMap((column, x) =>
    column.map((value, y) => {
      const fill = value === null ? MISSING : scale.colour(value);
      return svgElement('rect', { x: x * cell.width, y: y * cell.height, ...cell, fill });
    }),
  );
  const left = plot.width + BAR.gap;
  const bar = { x: left, y: 0, width: BAR.width, height: plot.height, fill: `url(#${BAR_COLOURS})` };
  return [
    svgElement('g', { class: 'cells', 'shape-rendering': 'crispEdges' }, ...cells),
    svgElement('rect', bar),
    ...scale.marks.flatMap(({ part, label }) => {
      const y = plot.height * (1 - part);
      const right = left + BAR.width;
      return [line(right, y, right + 4, y), text(right + 7, y + 5, label, { fill: INK })];
    }),
  ];
}

export function text(
  x: number,
  y: number,
  content: string,
  attributes: Readonly<Record<string, string | number>>,
): string {
  return svgElement('text', { x, y, ...attributes }, svgText(content));
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return svgElement('line', { x1, y1, x2, y2, stroke: FAINT });
}
