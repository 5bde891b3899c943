/** How a download stands. */
export interface DownloadProgress {
  /** The model, as it was named. */
  readonly model: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** The file that moved last. */
  readonly file: string;
  /** Of the last ten seconds. */
  readonly bytesPerSecond: number;
  /** Undefined while there is no rate to tell it by. */
  readonly secondsLeft: number | undefined;
  /** Another process is downloading the file; this one waits for it. */
  readonly waiting: boolean;
}

const WINDOW_MS = 10_000;
const SAMPLE_MS = 100;

/** Adds up how much of each file is there, and tells at most ten times a second. */
export class TransferMeter {
  private readonly lengths = new Map<string, number>();
  private samples: { readonly at: number; readonly done: number }[] = [];

  /** @param totalBytes of all files @param now milliseconds */
  constructor(
    private readonly model: string,
    private readonly totalBytes: number,
    private readonly report: (progress: DownloadProgress) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @param length bytes of the file that are there */
  set(file: string, length: number, waiting = false): void {
    this.lengths.set(file, length);
    const at = this.now();
    const last = this.samples.at(-1);
    const done = [...this.lengths.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (last && at - last.at < SAMPLE_MS && done < this.totalBytes && !waiting) return;
    this.samples = [...this.samples.filter((sample) => at - sample.at <= WINDOW_MS), { at, done }];
    this.report({ ...this.state(done), file, waiting });
  }

  private state(doneBytes: number): Omit<DownloadProgress, 'file' | 'waiting'> {
    const { model, totalBytes } = this;
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    const seconds = first && last ? (last.at - first.at) / 1000 : 0;
    const bytesPerSecond = first && last && seconds > 0 ? Math.max(last.done - first.done, 0) / seconds : 0;
    const secondsLeft = bytesPerSecond > 0 ? (totalBytes - doneBytes) / bytesPerSecond : undefined;
    return { model, doneBytes, totalBytes, bytesPerSecond, secondsLeft };
  }
}
