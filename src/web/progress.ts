import { element } from './dom.ts';
import type { StepDone } from './messages.ts';
import { TimeLeft } from './time-left.ts';
import { secondsLeft } from './words.ts';

const LOADING = 'Loading the model';

/** How far the work is: phases are announced, steps only shown, since they are too many to be read out. */
export class Progress {
  private readonly status = element('status', HTMLParagraphElement);
  private readonly detail = element('detail', HTMLParagraphElement);
  private readonly bar = element('progress', HTMLProgressElement);
  private time = new TimeLeft();

  /** A phase begins. */
  say(phase: string): void {
    this.status.textContent = phase;
    this.detail.textContent = '';
  }

  /** On a narrow page it is below what was entered. */
  bringIntoView(): void {
    const { top } = this.status.getBoundingClientRect();
    if (top < 0 || top > window.innerHeight / 2) this.status.scrollIntoView({ block: 'start' });
  }

  /** Nothing is done yet. */
  reset(): void {
    this.time = new TimeLeft();
    this.bar.value = 0;
  }

  /** @param done 0…1, where it is known */
  loading(done: number | undefined): void {
    if (this.status.textContent !== LOADING) this.say(LOADING);
    if (done === undefined) this.bar.removeAttribute('value');
    else this.show(done, `${Math.round(done * 100)} %`);
  }

  /** A run begins. @param blocks that it and those after it compute */
  sampling(phase: string, blocks: number, steps: number): void {
    this.say(phase);
    this.time.expect(blocks);
    this.showSteps(0, steps);
  }

  step({ step, blocks, seconds }: StepDone, steps: number): void {
    this.time.step(blocks, seconds);
    this.showSteps(step + 1, steps);
  }

  /** The work is over. @param done whether all of it was done */
  end(outcome: string, done: boolean): void {
    this.say(outcome);
    this.show(done ? 1 : 0, '');
  }

  private showSteps(done: number, steps: number): void {
    const { left } = this.time;
    this.show(this.time.done, `step ${done} of ${steps}${left === undefined ? '' : `, ${secondsLeft(left)}`}`);
  }

  private show(done: number, detail: string): void {
    this.bar.value = done;
    this.detail.textContent = detail;
  }
}
