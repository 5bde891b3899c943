import { text } from './heat-map.ts';
import { svgElement } from './svg.ts';
import { viridis } from './viridis.ts';

export interface Line {
  readonly name: string;
  /** Positive. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly lines: readonly Line[];
}

export const CHART = { width: 400, height: 400 };
const PLOT = { left: 64, top: 44, width: 300, height: 220 };
const INK = '#1f2328';
const FAINT = '#57606a';
const GRID = '#d8dee4';
/** The lightest colours of the scale are hard to see on white. */
const DARKEST_TO_LIGHTEST = 0.8;

/** Lines over two logarithmic axes, with a mark at each point and their names below: SVG markup from its top left corner. */
export function lineChart({ title, xTitle, yTitle, lines }: LineChart): string {
  const points = lines.flatMap((line) => line.points);
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const x = logarithmic(xs, PLOT.left, PLOT.left + PLOT.width);
  const yMarks = powersAround(points.map(([, y]) => y));
  const y = logarithmic(yMarks, PLOT.top + PLOT.height, PLOT.top);
  const bottom = PLOT.top + PLOT.height;
  return svgElement(
    'g',
    {},
    text(PLOT.left, 20, title, { 'font-size': 16, 'font-weight': 600, fill: INK }),
    text(PLOT.left, 37, yTitle, { fill: FAINT }),
    ...yMarks.flatMap((mark) => [
      svgElement('path', { d: `M${PLOT.left} ${y(mark)}h${PLOT.width}`, stroke: GRID }),
      text(PLOT.left - 8, y(mark) + 5, String(mark), { 'text-anchor': 'end', fill: INK }),
    ]),
    ...xs.map((mark) => text(x(mark), bottom + 20, String(mark), { 'text-anchor': 'middle', fill: INK })),
    text(PLOT.left + PLOT.width / 2, bottom + 42, xTitle, { 'text-anchor': 'middle', fill: INK }),
    ...lines.map((line, i) => drawn(line, viridis((DARKEST_TO_LIGHTEST * i) / Math.max(1, lines.length - 1)), x, y)),
    ...lines.flatMap(({ name }, i) => {
      const top = bottom + 62 + 18 * i;
      const fill = viridis((DARKEST_TO_LIGHTEST * i) / Math.max(1, lines.length - 1));
      return [
        svgElement('rect', { x: PLOT.left, y: top - 6, width: 18, height: 3, fill }),
        text(PLOT.left + 26, top, name, { fill: INK }),
      ];
    }),
  );
}

type Scale = (value: number) => number;

function drawn({ points }: Line, colour: string, x: Scale, y: Scale): string {
  const places = points.map(([px, py]) => [round(x(px)), round(y(py))] as const);
  const circles = places.map(([cx, cy]) => svgElement('circle', { cx, cy, r: 3.5, fill: colour }));
  const path = places.map((place) => place.join(' ')).join(' L');
  return svgElement(
    'g',
    {},
    svgElement('path', { d: `M${path}`, fill: 'none', stroke: colour, 'stroke-width': 2 }),
    ...circles,
  );
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** @param marks rising */
function logarithmic(marks: readonly number[], from: number, to: number): Scale {
  const [first, last] = [Math.log(marks[0] ?? 1), Math.log(marks.at(-1) ?? 1)];
  return (value) => from + (to - from) * (last > first ? (Math.log(value) - first) / (last - first) : 0.5);
}

/** Powers of ten that enclose the values. */
function powersAround(values: readonly number[]): number[] {
  const logs = values.map(Math.log10);
  const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  return Array.from({ length: high - low + 1 }, (_, i) => Number((10 ** (low + i)).toPrecision(1)));
}
