import { methodNamed } from './cache-methods.ts';
import { element } from './dom.ts';
import { Findings } from './findings.ts';
import type { FromWorker, Planned, RunName, RunRequest } from './messages.ts';
import { Pane } from './pane.ts';
import { Progress } from './progress.ts';
import { SettingsForm } from './settings-form.ts';
import { costOf, TimeLeft } from './time-left.ts';
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
  /** The worker holds one model on one backend. */
  private heldBy = '';
  private latestPlan: Planned | undefined;

  constructor() {
    this.stopButton.addEventListener('click', () => this.stop());
    document.addEventListener('keydown', ({ key }) => key === 'Escape' && this.stop());
    this.settingsChanged();
  }

  /** Asks for the plan, which is shown unless a run is. */
  private settingsChanged(): void {
    const request = this.form.read();
    if (request) this.worker.send({ kind: 'plan', request });
  }

  private generate(): void {
    const request = this.form.read();
    if (!request || this.running) return;
    const wanted = `${request.model} ${request.backend ?? ''}`;
    if (this.heldBy !== wanted) this.worker.end();
    this.heldBy = wanted;
    this.running = request;
    this.findings.clear();
    this.layOut(request);
    for (const pane of Object.values(this.panes)) pane.clear();
    if (this.latestPlan) this.showPlan({ ...this.latestPlan, request });
    this.progress.begin(new TimeLeft(this.cost(request)));
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
    if (hadFocus) shown.focus();
  }

  private take(message: FromWorker): void {
    if (message.kind === 'planned') this.planned(message);
    else if (message.kind === 'step') this.stepDone(message);
    else if (message.kind === 'picture') {
      this.panes[message.run].finish(message, this.running?.subject ?? '');
      this.findings.warn(message.warnings);
    } else if (message.kind === 'compared') this.findings.compare(message);
    else if (message.kind === 'started') this.progress.say(`Sampling, ${this.titleOf(message.run)}`);
    else if (message.kind === 'loading') this.progress.loading(message.done);
    else if (message.kind === 'loaded') element('backend-note', HTMLParagraphElement).textContent = message.backend;
    else if (message.kind === 'warming-up') this.progress.say('Warming up: one step that is not counted');
    else this.ended(message);
  }

  private stepDone(message: Extract<FromWorker, { kind: 'step' }>): void {
    this.panes[message.run].step(message);
    this.progress.step(message, this.running?.numInferenceSteps ?? 0);
  }

  private ended(message: Extract<FromWorker, { kind: 'finished' | 'stopped' | 'failed' }>): void {
    this.running = undefined;
    this.working(false);
    if (message.kind === 'failed') this.findings.problem(message.message);
    this.progress.end({ finished: 'Done.', stopped: 'Stopped.', failed: 'Failed.' }[message.kind]);
  }

  private planned(message: Planned): void {
    this.form.suggest(message.suggested);
    this.latestPlan = message;
    if (this.running) return;
    this.findings.refusal(message.refusal);
    this.layOut(message.request);
    this.showPlan(message);
  }

  private showPlan({ request, columns }: Planned): void {
    const { depth } = this.form.model;
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

  private cost({ cache, compare, numInferenceSteps: steps }: RunRequest): number {
    const { depth } = this.form.model;
    const uncached = cache === null || compare ? costOf([], steps, depth) : 0;
    return uncached + (cache === null ? 0 : costOf(this.latestPlan?.columns ?? [], steps, depth));
  }

  private titleOf(run: RunName, request = this.running): string {
    if (run === 'uncached' || !request?.cache) return 'uncached';
    return methodNamed(request.cache.method)?.title ?? request.cache.method;
  }
}

new Page();
