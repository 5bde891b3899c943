import type { JudgedClaim, LabRow } from '../index.ts';
import { type BenchEnvironment, environmentLine } from './bench-environment.ts';
import { markdown, threeDigits } from './bench-tables.ts';

/** What stands at the head of a report. */
export interface LabHead {
  readonly title: string;
  readonly command: string;
  readonly environment: BenchEnvironment;
  readonly pictures: number;
  readonly guidanceScale: number;
  readonly baseline: string;
  readonly converged: string;
  /** Where methods were timed on their own. */
  readonly timedOn: BenchEnvironment | null;
}

/** The table of a laboratory in Markdown, fastest last, figures by name. */
export function labReport(
  head: LabHead,
  rows: readonly LabRow[],
  claims: readonly JudgedClaim[],
  figures: readonly string[],
): string {
  const { title, command, environment, timedOn, pictures, guidanceScale, baseline, converged } = head;
  const sorted = [...rows].sort((a, b) => a.latencyRatio - b.latencyRatio);
  return [
    `# ${title}`,
    `\`${command}\``,
    `${pictures} pictures a method, guidance ${guidanceScale}. Ratios: ${baseline} ÷ the row; converged: ${converged}. ${timesOf(rows)}`,
    environmentLine(environment),
    ...(timedOn && environmentLine(timedOn) !== environmentLine(environment)
      ? [`Timed on: ${environmentLine(timedOn)}`]
      : []),
    markdown([COLUMNS.map(([name]) => name), ...sorted.map((row) => COLUMNS.map(([, cell]) => cell(row)))]),
    'Margin: PSNR to the converged picture less what uncached sampling gives in the same time, on the line between its best points.',
    ...(claims.length > 0 ? ['## The paper’s claims', CLAIMS_NOTE, claimsTable(claims)] : []),
    ...figures.map((name) => `![${name}](${name})`),
    '',
  ].join('\n\n');
}

const CLAIMS_NOTE =
  'Signs and orders of the tables and Fig. 5 of Δ-DiT (arXiv 2406.01125) that this table has the rows of, from the lowest to the highest; in brackets the paper’s numbers, of larger models and other measures: only the order is compared. Confirmed: the measured numbers rise in that order, too. TGATE’s rows are left out.';

function claimsTable(claims: readonly JudgedClaim[]): string {
  const order = ({ rising }: JudgedClaim) =>
    rising.map(({ row, measured, published }) => `${row} ${threeDigits(measured)} (${published})`).join(' < ');
  return markdown([
    ['claim', 'measure', 'measured (published)', ''],
    ...claims.map((one) => [one.source, one.measure, order(one), one.confirmed ? 'confirmed' : '**not confirmed**']),
  ]);
}

/** Rows are timed alike. */
function timesOf(rows: readonly LabRow[]): string {
  const counts = rows.map(({ timed }) => timed.count);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  const count = fewest === most ? `${most}` : `${fewest} to ${most}`;
  const { kind = 'batches', pictures = 1 } = rows[0]?.timed ?? {};
  if (kind === 'rounds') {
    return `Times: medians of ${count} rounds of their own, warm, ${pictures} ${pictures === 1 ? 'picture' : 'pictures'} at once, the methods in turn; ratios to the baseline of the same round.`;
  }
  return `Times: medians of ${count} batches of ${pictures} as the pictures were made, the methods in turn; ratios to the baseline's batch.`;
}

const COLUMNS: readonly (readonly [string, (row: LabRow) => string])[] = [
  ['method', (row) => row.method],
  ['s a picture', (row) => threeDigits(row.secondsPerPicture)],
  ['latency ×', (row) => row.latencyRatio.toFixed(2)],
  ['min – max', ({ latencyRatios: { min, max } }) => `${min.toFixed(2)} – ${max.toFixed(2)}`],
  ['MACs ×', (row) => row.macsRatio.toFixed(2)],
  ['cached KiB a picture', (row) => Math.round(row.peakCachedBytes / 1024).toString()],
  ['PSNR to uncached', (row) => decibels(row.toUncached?.psnr)],
  ['SSIM to uncached', (row) => row.toUncached?.ssim.toFixed(4) ?? '–'],
  ['PSNR to converged', (row) => decibels(row.toConverged.psnr)],
  ['SSIM to converged', (row) => row.toConverged.ssim.toFixed(4)],
  ['margin, dB', (row) => (row.margin === null ? '–' : signed(row.margin, 2))],
  ['gradient', (row) => signed(row.toConverged.gradientDifference, 2)],
  ['high-frequency error', (row) => row.toConverged.highFrequencyError.toFixed(3)],
  ['PIQE', (row) => row.piqe.toFixed(1)],
  ['Fréchet', (row) => row.recognised?.frechetDistance.toFixed(3) ?? '–'],
  ['Inception Score', (row) => row.recognised?.inceptionScore.toFixed(2) ?? '–'],
  ['agreement', (row) => percent(row.recognised?.agreement?.found)],
];

function decibels(value: number | undefined): string {
  if (value === undefined) return '–';
  return Number.isFinite(value) ? value.toFixed(2) : '∞';
}

function signed(value: number, digits: number): string {
  return `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(digits)}`;
}

function percent(share: number | undefined): string {
  return share === undefined ? '–' : `${Math.round(100 * share)} %`;
}
