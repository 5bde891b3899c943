import { AbortError, type BackendReport, OptionError, type Painter, useBackend } from '../index.ts';
import { type DemoModel, modelNamed } from './demo-models.ts';
import type { Failed, RunRequest, Tell, ToWorker } from './messages.ts';
import { openDemo } from './open-demo.ts';
import { makePictures } from './pictures.ts';
import { planned } from './plans.ts';

/** Answers the page: one model on one backend, loaded when it is first needed, and one run at a time. */
export class Studio {
  private loaded: { readonly name: string; readonly painter: Painter } | undefined;
  private stopping: AbortController | undefined;

  constructor(private readonly tell: Tell) {}

  take(message: ToWorker): void {
    if (message.kind === 'plan') this.tell(planned(message.request));
    else if (message.kind === 'stop') this.stopping?.abort();
    else if (!this.stopping) void this.generate(message.request, message.site);
  }

  /** Ends with 'finished', 'stopped' or 'failed', whatever happens. */
  private async generate(request: RunRequest, site: string): Promise<void> {
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    try {
      const painter = await this.painterOf(modelNamed(request.model), request, site, signal);
      await makePictures(painter, request, this.tell, signal);
      this.tell({ kind: 'finished' });
    } catch (error) {
      this.tell(signal.aborted || error instanceof AbortError ? { kind: 'stopped' } : failure(error));
    } finally {
      this.stopping = undefined;
    }
  }

  private async painterOf(model: DemoModel, { backend }: RunRequest, site: string, signal: AbortSignal) {
    if (this.loaded?.name === model.name) return this.loaded.painter;
    this.loaded?.painter.pipe.dispose();
    this.loaded = undefined;
    this.tell({ kind: 'loading', done: undefined });
    const onWarning = (message: string) => this.tell({ kind: 'warning', message });
    const report = await useBackend(backend, { wasmPaths: new URL('wasm/', site).href, onWarning });
    const painter = await openDemo(model, new URL(`checkpoints/${model.name}/`, site), {
      ...{ signal, onWarning },
      onDone: (done) => this.tell({ kind: 'loading', done }),
    });
    this.loaded = { name: model.name, painter };
    this.tell({ kind: 'loaded', backend: backendNote(report) });
    return painter;
  }
}

/** What runs, and why WebGPU does not. */
function backendNote({ description, absent }: BackendReport): string {
  const reason = absent.find(({ name }) => name === 'webgpu')?.reason;
  const [why] = reason?.split('. ') ?? []; // after it comes advice, which is followed already
  return why === undefined ? `${description}.` : `${description}. ${why.charAt(0).toUpperCase()}${why.slice(1)}.`;
}

function failure(error: unknown): Failed {
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', message, ofSettings: error instanceof OptionError };
}
