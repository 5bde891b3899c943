import type { DownloadProgress, HubOptions } from '../index.ts';
import { withInterrupt } from './interrupt.ts';
import { duration, ProgressLine } from './progress.ts';

/** Where nothing can be written over, a line comes as often. */
const QUIET_MS = 10_000;

/** Runs a download that Ctrl-C stops, and says on stderr how it goes, unless quiet. */
export function downloading<T>(
  quiet: boolean | undefined,
  work: (options: Pick<HubOptions, 'signal' | 'onDownload'>) => Promise<T>,
): Promise<T> {
  const shown = new DownloadLines();
  return withInterrupt(async (signal) => {
    try {
      return await work({ signal, ...(quiet ? {} : { onDownload: (progress) => shown.show(progress) }) });
    } finally {
      shown.end();
    }
  });
}

/** One line that is rewritten on a terminal; elsewhere one every ten seconds. */
class DownloadLines {
  private readonly line = new ProgressLine('Downloading');
  private announced = '';
  private printed = performance.now();

  show(progress: DownloadProgress): void {
    const { model, doneBytes, totalBytes, bytesPerSecond, secondsLeft, file, waiting } = progress;
    if (this.announced !== model) console.error(`Downloading ${model}: ${amount(totalBytes)}`);
    this.announced = model;
    const done = `${amount(doneBytes)} of ${amount(totalBytes)}`;
    const rate = waiting ? 'another process has it, waiting' : `${amount(bytesPerSecond)}/s`;
    this.line.update(doneBytes / Math.max(totalBytes, 1), `${file} ${done} ${rate}`, secondsLeft ?? Number.NaN);
    if (process.stderr.isTTY || performance.now() - this.printed < QUIET_MS) return;
    this.printed = performance.now();
    console.error(`  ${done}, ${rate}${secondsLeft === undefined ? '' : `, ${duration(secondsLeft)} left`}`);
  }

  end(): void {
    this.line.end();
  }
}

function amount(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
