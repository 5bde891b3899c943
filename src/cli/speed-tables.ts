import type { LoadReport } from '../lab/bench-load.ts';
import type { ProfileReport } from '../lab/bench-profile.ts';
import { STEP_PARTS, type StepPart } from '../lab/bench-profile.ts';
import type { SpeedReport } from '../lab/bench-speed.ts';
import type { Spread } from '../lab/spread.ts';
import { markdown, threeDigits } from './bench-tables.ts';

/** Ratios first. @param setting what was measured @param unit of what is counted, such as "a block" */
export function speedTable({ ms, pytorch }: SpeedReport, setting: string, unit: string): string {
  const row = (name: string, values: Spread, mark = '') => [
    name,
    `${mark}${threeDigits(values.median)}${mark}`,
    threeDigits(values.min),
    threeDigits(values.spread),
  ];
  const rows = [
    ...(pytorch ? [row('time ratio, ours ÷ PyTorch', pytorch.ratio, '**')] : []),
    row(`${unit}, ms`, ms),
    ...(pytorch ? [row(`${unit} in PyTorch, ms`, pytorch.ms)] : []),
  ];
  const table = markdown([[setting, 'median', 'min', 'max − min'], ...rows]);
  if (!pytorch) return table;
  return `${table}\n\n${pytorch.versions}; the results differ by ${pytorch.relativeL2.toExponential(1)} (relative L2)`;
}

const PART_NAMES: Readonly<Record<StepPart, string>> = {
  linear: 'linear layers of the blocks',
  attention: 'attention products',
  norms: 'norms and their modulation',
  activations: 'activations (GELU)',
  gates: 'gates and residual sums',
  modulation: 'modulation vectors (adaLN)',
  ends: 'outside the blocks',
};

/** The parts add up to the last row. */
export function profileTable({ parts, profiledMs, ms, rounds }: ProfileReport): string {
  const share = (value: number) => `${((100 * value) / profiledMs).toFixed(1)} %`;
  const rows = STEP_PARTS.map((part) => [PART_NAMES[part], parts[part].toFixed(2), share(parts[part])]);
  const table = markdown([
    [`where the time goes, mean of ${rounds}`, 'ms', 'share'],
    ...rows,
    ['all', profiledMs.toFixed(2), share(profiledMs)],
  ]);
  return `${table}\n\nWithout watching its parts a run takes ${threeDigits(ms)} ms (median).`;
}

/** Ratios first. @param name of what was loaded */
export function loadTable(report: LoadReport, name: string): string {
  const { bytes, speedRatio, loadSeconds, readSeconds, cacheDropped, heldBytes, peakBytes, rounds } = report;
  const row = (title: string, values: Spread) => [
    title,
    threeDigits(values.median),
    threeDigits(values.min),
    threeDigits(values.spread),
  ];
  const megabytes = (seconds: Spread) => `${(bytes / 1e6 / seconds.median).toFixed(0)}`;
  const source = cacheDropped ? 'from the disk' : 'from the system’s cache, in part or whole';
  const table = markdown([
    [`${name}, ${(bytes / 1e6).toFixed(1)} MB, ${source}; ${roundsOf(rounds)}`, 'median', 'min', 'max − min'],
    row('speed ratio, loading ÷ reading', speedRatio),
    row('loading, s', loadSeconds),
    row('reading the same files, s', readSeconds),
    ['loading, MB/s', megabytes(loadSeconds), '', ''],
    ['reading, MB/s', megabytes(readSeconds), '', ''],
  ]);
  const peak = (peakBytes / heldBytes).toFixed(2);
  return `${table}\n\nPeak memory above idle: ${(peakBytes / 1e6).toFixed(0)} MB, ${peak} × the weights as held (${(heldBytes / 1e6).toFixed(0)} MB).`;
}

export function roundsOf(rounds: number): string {
  return `${rounds} ${rounds === 1 ? 'round' : 'rounds'}`;
}
