import { methodNamed } from './cache-methods.ts';
import { modelNamed } from './demo-models.ts';
import { element } from './dom.ts';
import { Findings } from './findings.ts';
import type { BlockMap, Failed, FromWorker, Planned, RunName, RunRequest } from './messages.ts';
import { Pane } from './pane.ts';
import { Progress } from './progress.ts';
import { SettingsForm } from './settings-form.ts';
import { costOf } from './time-left.ts';
import { WorkerLink } from './worker-link.ts';

/** The page: what is entered goes to the worker, what the worker tells is shown. */
class Page {
  private readonly form = new SettingsForm(
    () => this.settingsChanged(),
    () => this.generate(),
  );
  private readonly worker = new WorkerLink((message) => this.take(message));
  private readonly panes: Readonly<Record<RunName, Pane>> = {
    uncached: new Pane(element('uncached', HTMLElement), this.form.model.depth),
    cached: new Pane(element('cached', HTMLElement), this.form.model.depth),
  };
  private readonly progress = new Progress();
  private readonly findings = new Findings();
  private readonly generateButton = element('generate', HTMLButtonElement);
  private readonly stopButton = element('stop', HTMLButtonElement);
  private running: RunRequest | undefined;
  /** What the worker has loaded: one model on one backend. */
  private holding: string | undefined;
  /** Of the cached run, what is known ahead. */
  private planToRun: BlockMap = [];

  constructor() {
    this.stopButton.addEventListener('click', () => this.stop());
    document.addEventListener('keydown', ({ key }) => key === 'Escape' && this.stop());
    this.settingsChanged();
  }

  /** Asks for the plan; while there is a run, its own is shown. */
  private settingsChanged(): void {
    const request = this.form.read();
    if (request && !this.running) this.worker.send({ kind: 'plan', request });
  }

  private generate(): void {
    const request = this.form.read();
    if (!request || this.running) return;
    const wanted = `${request.model} ${request.backend ?? ''}`;
    if (this.holding !== undefined && this.holding !== wanted) this.worker.end();
    this.holding = wanted;
    this.running = request;
    this.findings.clear();
    this.layOut(request);
    for (const pane of Object.values(this.panes)) pane.clear();
    this.progress.reset();
    this.working(true);
    this.progress.bringIntoView();
    this.worker.send({ kind: 'plan', request });
    this.worker.send({ kind: 'generate', request, site: document.baseURI });
  }

  private stop(): void {
    if (!this.running) return;
    this.progress.say('Stopping after this step …');
    this.worker.send({ kind: 'stop' });
  }

  private working(working: boolean): void {
    const [shown, hidden] = working ? [this.stopButton, this.generateButton] : [this.generateButton, this.stopButton];
    const hadFocus = document.activeElement === hidden;
    shown.hidden = false;
    hidden.hidden = true;
    if (hadFocus) shown.focus({ preventScroll: true });
  }

  private take(message: FromWorker): void {
    if (message.kind === 'planned') this.planned(message);
    else if (message.kind === 'step') this.stepDone(message);
    else if (message.kind === 'picture') {
      this.panes[message.run].finish(message, this.running?.subject ?? '');
      this.findings.warn(message.warnings);
    } else if (message.kind === 'compared') this.findings.compare(message);
    else if (message.kind === 'started') this.started(message);
    else if (message.kind === 'loading') this.progress.loading(message.done);
    else if (message.kind === 'loaded') element('backend-note', HTMLParagraphElement).textContent = message.backend;
    else if (message.kind === 'warning') this.findings.warn([message.message]);
    else if (message.kind === 'warming-up') this.progress.say('Warming up: one step that is not counted');
    else this.ended(message);
  }

  private started({ run, columns }: Extract<FromWorker, { kind: 'started' }>): void {
    if (!this.running) return;
    const { numInferenceSteps: steps, cache } = this.running;
    const { depth } = modelNamed(this.running.model);
    this.panes[run].plan(this.titleOf(run), columns, steps, depth);
    const after = run === 'uncached' && cache ? costOf(this.planToRun, steps, depth) : 0;
    this.progress.sampling(`Sampling, ${this.titleOf(run)}`, costOf(columns, steps, depth) + after, steps);
  }

  private stepDone(message: Extract<FromWorker, { kind: 'step' }>): void {
    this.panes[message.run].step(message);
    this.progress.step(message, this.running?.numInferenceSteps ?? 0);
  }

  private ended(message: Extract<FromWorker, { kind: 'finished' | 'stopped' | 'failed' }>): void {
    this.running = undefined;
    this.working(false);
    if (message.kind === 'failed') this.failed(message);
    const outcome = { finished: `Done. ${this.findings.summary}`, stopped: 'Stopped.', failed: 'Failed.' };
    this.progress.end(outcome[message.kind], message.kind === 'finished');
  }

  private failed({ message, ofSettings }: Failed): void {
    this.findings.problem(message);
    if (ofSettings) return;
    this.worker.end(); // whatever state its backend is in
    this.holding = undefined;
  }

  private planned(message: Planned): void {
    this.form.suggest(message.suggested);
    this.planToRun = message.columns;
    this.findings.refusal(message.refusal);
    this.layOut(message.request);
    this.showPlan(message);
  }

  private showPlan({ request, columns }: Planned): void {
    const { depth } = modelNamed(request.model);
    const { numInferenceSteps: steps } = request;
    const all = Array.from({ length: steps }, () => Array<'computed'>(depth).fill('computed'));
    this.panes.uncached.plan('Uncached', all, steps, depth);
    this.panes.cached.plan(this.titleOf('cached', request), columns, steps, depth);
  }

  /** Shows the panes that a run fills. */
  private layOut({ cache, compare }: RunRequest): void {
    this.panes.uncached.hidden = cache !== null && !compare;
    this.panes.cached.hidden = cache === null;
  }

  private titleOf(run: RunName, request = this.running): string {
    if (run === 'uncached' || !request?.cache) return 'uncached';
    return methodNamed(request.cache.method)?.title ?? request.cache.method;
  }
}

new Page();
