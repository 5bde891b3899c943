/** One line on stderr that is written over while work goes on; silent where stderr is no terminal. */
export class ProgressLine {
  private readonly start = performance.now();
  private shown = false;

  constructor(
    private readonly label: string,
    private readonly stream: NodeJS.WriteStream = process.stderr,
  ) {}

  /** @param done 0…1 @param secondsLeft where it is known better than by what has passed; NaN where it is not known */
  update(done: number, note = '', secondsLeft?: number): void {
    if (!this.stream.isTTY) return;
    const elapsed = (performance.now() - this.start) / 1000;
    const seconds = secondsLeft ?? (elapsed * (1 - done)) / done;
    const left = Number.isFinite(seconds) ? duration(seconds) : '…';
    const width = 24;
    const filled = Math.round(done * width);
    const bar = '█'.repeat(filled) + '░'.repeat(width - filled);
    this.stream.write(`\r\x1b[K${this.label} ${bar} ${Math.round(done * 100)}% ${note} ${left} left`);
    this.shown = true;
  }

  /** Clears the line. */
  end(): void {
    if (this.shown) this.stream.write('\r\x1b[K');
    this.shown = false;
  }
}

export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
