/** What the set-up is doing, for a progress line. */
export interface SetupProgress {
  readonly message: string;
  readonly doneBytes?: number;
  readonly totalBytes?: number;
  readonly secondsLeft?: number;
}

export type ReportProgress = (progress: SetupProgress) => void;

/** Turns a count of bytes into progress with the time left, from the rate since its start. */
export function byteProgress(message: string, totalBytes: number, report: ReportProgress): (doneBytes: number) => void {
  const start = performance.now();
  return (doneBytes) => {
    const seconds = (performance.now() - start) / 1000;
    const left = Math.max(0, totalBytes - doneBytes);
    const known = doneBytes > 0 && seconds > 1;
    report({ message, doneBytes, totalBytes, ...(known && { secondsLeft: (left * seconds) / doneBytes }) });
  };
}
