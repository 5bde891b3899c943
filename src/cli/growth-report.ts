import { CHART, type Line, lineChart } from '../lab/line-chart.ts';
import { svgElement, svgText } from '../lab/svg.ts';
import { markdown, threeDigits } from './bench-tables.ts';

/** How time grows, medians. */
export interface Growth {
  readonly size: string;
  readonly batchSize: number;
  readonly rounds: number;
  /** Milliseconds over tokens. */
  readonly tokens: readonly Line[];
  /** Milliseconds over pictures at once. */
  readonly batch: readonly Line[];
  /** Seconds over steps. */
  readonly steps: readonly Line[];
  readonly command: string;
  readonly environment: string;
}

/** A Markdown document. */
export function growthTables({ size, rounds, tokens, batch, steps, command, environment }: Growth): string {
  return [
    `# How time grows: ${size}, random weights, float32`,
    `Medians of ${rounds}, under guidance (two rows a picture).`,
    table('tokens', tokens, 'ms'),
    table('pictures at once', batch, 'ms'),
    table('steps', steps, 's of sampling'),
    `\`${command}\``,
    `${environment}\n`,
  ].join('\n\n');
}

function table(x: string, lines: readonly Line[], unit: string): string {
  const xs = lines[0]?.points.map(([value]) => value) ?? [];
  const rows = xs.map((value, i) => [String(value), ...lines.map(({ points }) => threeDigits(points[i]?.[1] ?? 0))]);
  return markdown([[x, ...lines.map(({ name }) => `${name}, ${unit}`)], ...rows]);
}

/** The same as an SVG document. */
export function growthFigure({ size, tokens, batch, steps, command }: Growth): string {
  const charts = [
    lineChart({ title: 'Tokens', xTitle: 'tokens', yTitle: 'ms of a block', lines: tokens }),
    lineChart({ title: 'Batch', xTitle: 'pictures at once', yTitle: 'ms of a block', lines: batch }),
    lineChart({ title: 'Steps', xTitle: 'sampling steps', yTitle: 's of sampling', lines: steps }),
  ];
  const [width, height] = [charts.length * CHART.width, CHART.height + TOP];
  const font = { 'font-family': "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", 'font-size': 14 };
  return `${svgElement(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', ...font },
    svgElement('title', {}, svgText(`How time grows: ${size}`)),
    svgElement('rect', { width, height, fill: '#ffffff' }),
    svgElement('text', { x: 20, y: 30, 'font-size': 18, 'font-weight': 600 }, svgText(`How time grows: ${size}`)),
    svgElement('text', { x: 20, y: 52, fill: '#57606a' }, svgText(command)),
    ...charts.map((chart, i) => svgElement('g', { transform: `translate(${i * CHART.width} ${TOP})` }, chart)),
  )}\n`;
}

/** Above the charts. */
const TOP = 64;
