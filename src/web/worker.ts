/** The page's worker: all that computes. */
import type { FromWorker, ToWorker } from './messages.ts';
import { Studio } from './studio.ts';

const tell = (message: FromWorker, transfer: readonly Transferable[] = []) =>
  self.postMessage(message, { transfer: [...transfer] });

const studio = new Studio(tell);

self.addEventListener('message', ({ data }: MessageEvent<ToWorker>) => studio.take(data));
