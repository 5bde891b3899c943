import {
  classPainter,
  DiTPipeline,
  type DownloadProgress,
  type Painter,
  PixArtPipeline,
  promptPainter,
} from '../index.ts';
import type { DemoModel } from './demo-models.ts';

interface OpenDemoOptions {
  readonly signal: AbortSignal;
  readonly onWarning: (message: string) => void;
  /** Called as bytes arrive. @param done 0…1 */
  readonly onDone: (done: number) => void;
}

/** Loads a model into the backend that runs. @throws as `fromPretrained` */
export async function openDemo(
  model: DemoModel,
  url: URL,
  { signal, onWarning, onDone }: OpenDemoOptions,
): Promise<Painter> {
  const onDownload = ({ doneBytes, totalBytes }: DownloadProgress) => onDone(doneBytes / totalBytes);
  const options = { signal, onWarning, onDownload };
  if (model.subject === 'class') return classPainter(await DiTPipeline.fromPretrained(url.href, options));
  return promptPainter(await PixArtPipeline.fromPretrained(url.href, options));
}
