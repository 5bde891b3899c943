import {
  countSubjects,
  type LatencyReport,
  type MethodQuality,
  type PictureQuality,
  type QualityReport,
  type SimilaritySummary,
  type Spread,
} from '../index.ts';

/** What a bench has measured of a cache method, in Markdown, ratios first. @param model as the user named it */
export function latencyTable(report: LatencyReport, model: string): string {
  const { ratio, macsRatio, uncachedSeconds, cachedSeconds, stepSeconds, cache, numInferenceSteps: steps } = report;
  const row = (name: string, values: Spread) => [name, ...[values.median, values.min, values.spread].map(threeDigits)];
  const setting = [
    model,
    `${cache}, ${steps} steps of ${report.sampler}, guidance ${report.guidanceScale}`,
    ...(report.width === undefined ? [] : [`${report.width} × ${report.height} px`]),
    `${report.batchSize} at once, ${report.pairs.length} ${report.pairs.length === 1 ? 'pair' : 'pairs'}`,
  ];
  return markdown([
    [setting.join('; '), 'median', 'min', 'max − min'],
    [
      'latency ratio, uncached ÷ cached',
      `**${ratio.median.toFixed(2)}**`,
      ratio.min.toFixed(2),
      ratio.spread.toFixed(2),
    ],
    ['MACs ratio, blocks alone', macsRatio.toFixed(2), '', ''],
    row('sampling uncached, s', uncachedSeconds),
    row('sampling cached, s', cachedSeconds),
    row('a step uncached, s', stepSeconds.uncached),
    row('a full step, s', stepSeconds.full),
    ...(stepSeconds.cached ? [row('a cached step, s', stepSeconds.cached)] : []),
  ]);
}

/** A row a method, in Markdown, ratios first; then what the columns mean. */
export function qualityTable(report: QualityReport): string {
  const { methods, seeds, sampler, guidanceScale, batchSize } = report;
  const columns = qualityColumns(report);
  const summaries = methods.flatMap((row) => [row.toUncached ?? [], row.toReference ?? []].flat());
  const identical = summaries.some(({ psnr }) => psnr.identical > 0);
  const rows = methods.map((row) => columns.map(([, cell]) => cell(row)));
  return [
    markdown([columns.map(([head]) => head), ...rows]),
    '',
    `${seeds.length} pictures over ${countSubjects(report.subjects, report.subjectKind)}, ${sampler}, guidance ${guidanceScale}, ` +
      `batches of ${batchSize}, the same initial noise for all. Ratios are uncached ÷ method. PSNR in dB: mean ± standard ` +
      'deviation (median) over the pictures; SSIM: mean.' +
      (identical ? ' Identical pictures (=) count in the median alone: their PSNR is infinite.' : ''),
  ].join('\n');
}

type Column = readonly [head: string, cell: (row: MethodQuality) => string];

function qualityColumns({ methods, numInferenceSteps, reference }: QualityReport): readonly Column[] {
  return [
    ['method', (row) => row.method],
    ['MACs ratio', (row) => row.macsRatio.toFixed(2)],
    ['latency ratio', (row) => row.latencyRatio.toFixed(2)],
    ...similarityColumns(`${numInferenceSteps} steps`, (row) => row.toUncached),
    ...(reference ? referenceColumns(`${reference.numInferenceSteps} steps`, methods, numInferenceSteps) : []),
    ['s a picture', (row) => threeDigits(row.secondsPerPicture)],
  ];
}

/** To the reference, and how many pictures are nearer to it than those of the fewer steps. */
function referenceColumns(name: string, methods: readonly MethodQuality[], numInferenceSteps: number): Column[] {
  const rival = methods.find((row) => row.cache === null && row.numInferenceSteps < numInferenceSteps);
  const nearerThan = (other: MethodQuality): Column => [
    `nearer to ${name} than ${other.method}`,
    (row) => (row === other ? '–' : String(nearer(row, other))),
  ];
  return [...similarityColumns(name, (row) => row.toReference), ...(rival ? [nearerThan(rival)] : [])];
}

function similarityColumns(name: string, of: (row: MethodQuality) => SimilaritySummary | null): Column[] {
  return [
    [`PSNR to ${name}`, (row) => psnrCell(of(row))],
    [`SSIM to ${name}`, (row) => ssimCell(of(row))],
  ];
}

function psnrCell(summary: SimilaritySummary | null): string {
  if (!summary) return '–';
  const { mean, std, median, identical } = summary.psnr;
  const decibels = (value: number) => (Number.isFinite(value) ? value.toFixed(2) : '∞');
  return `${decibels(mean)} ± ${std.toFixed(2)} (${decibels(median)}${identical > 0 ? `, ${identical} =` : ''})`;
}

function ssimCell(summary: SimilaritySummary | null): string {
  return summary ? summary.ssim.mean.toFixed(4) : '–';
}

/** How many of the pictures are nearer to the reference, by PSNR, than the other method's. */
function nearer(row: MethodQuality, other: MethodQuality): number {
  const decibels = (picture: PictureQuality | undefined) => picture?.toReference?.psnr ?? 0;
  return row.pictures.filter((picture, i) => decibels(picture) > decibels(other.pictures[i])).length;
}

export function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(1) : value.toPrecision(3);
}

export function markdown([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
