import type { FolderComparison, FolderMeasures, Summary } from './measure-folders.ts';
import { aligned } from './table.ts';

/** For people: what was compared, the pairs, the folders. */
export function metricsTable(comparison: FolderComparison): string {
  const { reference, pictures, pairing } = comparison;
  const alone = pairing && pairing.alone > 0 ? `, ${pairing.alone} pictures without a partner` : '';
  const paired = pairing ? `, ${pairing.pairs} pairs by ${pairing.by}${alone}` : '';
  return [
    `${pictures.folder} (${counted(pictures)}) against ${reference.folder} (${counted(reference)})${paired}`,
    ...pairTable(comparison),
    '',
    ...folderTable(comparison),
    ...notes(comparison),
  ].join('\n');
}

function counted({ pictures }: FolderMeasures): string {
  return pictures === 1 ? '1 picture' : `${pictures} pictures`;
}

const DIGITS = { psnr: 2, ssim: 4, gradientDifference: 3, highFrequencyError: 4 } as const;

function pairTable({ pairs }: FolderComparison): string[] {
  if (!pairs) return [];
  const row = (name: string, measure: keyof typeof DIGITS) => {
    const { mean, median, min, max } = pairs[measure];
    return [name, ...[mean, median, min, max].map((value) => shown(value, DIGITS[measure]))];
  };
  const rows = [
    ['of pairs', 'mean', 'median', 'min', 'max'],
    row('PSNR, dB', 'psnr'),
    row('SSIM', 'ssim'),
    row('Sobel gradient, more than the reference', 'gradientDifference'),
    row('high-frequency error', 'highFrequencyError'),
  ];
  const left = (summary: Summary, why: string) =>
    summary.infinite > 0 ? [`${summary.infinite} ${why}, left out of the mean`] : [];
  return [
    '',
    ...aligned(rows),
    ...left(pairs.psnr, 'of the pairs are equal: infinite PSNR'),
    ...left(pairs.highFrequencyError, 'of the references have no high frequencies: infinite error'),
  ];
}

function folderTable({ reference, pictures, frechetDistance }: FolderComparison): string[] {
  const folders = [reference, pictures];
  const row = (name: string, cell: (folder: FolderMeasures) => string) => [name, ...folders.map(cell)];
  const known = (value: number | null | undefined, digits: number) => (value == null ? '–' : shown(value, digits));
  const percent = (value: number | undefined) => (value === undefined ? '–' : `${(100 * value).toFixed(1)} %`);
  const classified = [
    row('Inception Score', ({ inceptionScore }) => known(inceptionScore, 3)),
    row('shows what it should, found', ({ agreement }) => percent(agreement?.found)),
    row('shows what it should, confidence', ({ agreement }) => percent(agreement?.confidence)),
    row('pictures of which that is known', ({ agreement }) => String(agreement?.pictures ?? 0)),
    ['Fréchet distance', '', known(frechetDistance, 4)],
  ];
  return aligned([
    ['of each folder, mean', 'reference', 'pictures'],
    row('PIQE', ({ piqe }) => shown(piqe.mean, 2)),
    row('Sobel gradient', ({ meanGradient }) => shown(meanGradient.mean, 3)),
    ...(reference.inceptionScore === null ? [] : classified),
  ]);
}

function notes({ features }: FolderComparison): string[] {
  return features ? ['', `by ${features.checkpoint}, ${features.count} features`] : [];
}

function shown(value: number, digits: number): string {
  return value === Number.POSITIVE_INFINITY ? '∞' : value.toFixed(digits);
}
