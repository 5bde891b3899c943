import { AbortError } from '../index.ts';

/** Ctrl-C once asks the work to stop; a second time ends the program at once. */
export async function withInterrupt(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const stop = () => controller.abort(new AbortError('interrupted'));
  process.once('SIGINT', stop);
  try {
    await work(controller.signal);
  } finally {
    process.removeListener('SIGINT', stop);
  }
}
