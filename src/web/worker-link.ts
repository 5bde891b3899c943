import type { FromWorker, ToWorker } from './messages.ts';

/** The worker that paints. */
export class WorkerLink {
  private worker: Worker | undefined;

  constructor(private readonly onMessage: (message: FromWorker) => void) {}

  /** Starts the worker with the first message. */
  send(message: ToWorker): void {
    this.worker ??= this.start();
    this.worker.postMessage(message);
  }

  /** Ends it with all that it holds; the next message starts another. */
  end(): void {
    this.worker?.terminate();
    this.worker = undefined;
  }

  private start(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'delta-dit' });
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      if (worker === this.worker) this.onMessage(data);
    });
    worker.addEventListener('error', ({ message }) => {
      if (worker !== this.worker) return;
      this.end();
      this.onMessage({
        kind: 'failed',
        ofSettings: false,
        message: `The worker of this page stopped (${message || 'its script could not be loaded'}); reload the page.`,
      });
    });
    return worker;
  }
}
