import { element } from './dom.ts';
import type { StepDone } from './messages.ts';
import type { TimeLeft } from './time-left.ts';
import { secondsLeft } from './words.ts';

/** How far the work is: phases are announced, steps only shown, since they are too many to be read out. */
export class Progress {
  private readonly status = element('status', HTMLParagraphElement);
  private readonly detail = element('detail', HTMLParagraphElement);
  private readonly bar = element('progress', HTMLProgressElement);
  private time: TimeLeft | undefined;

  begin(time: TimeLeft): void {
    this.time = time;
    this.show(0, '');
  }

  /** On a narrow page it is below what was entered. */
  bringIntoView(): void {
    const { top } = this.status.getBoundingClientRect();
    if (top < 0 || top > window.innerHeight / 2) this.status.scrollIntoView({ block: 'start' });
  }

  /** A phase begins. */
  say(phase: string): void {
    this.status.textContent = phase;
  }

  /** @param done 0…1, where it is known */
  loading(done: number | undefined): void {
    this.say('Loading the model');
    if (done === undefined) this.bar.removeAttribute('value');
    else this.show(done, `${Math.round(done * 100)} %`);
  }

  step({ step, blocks, seconds }: StepDone, steps: number): void {
    if (!this.time) return;
    this.time.step(blocks, seconds);
    this.show(this.time.done, `step ${step + 1} of ${steps}, ${secondsLeft(this.time.left)}`);
  }

  /** The work is over. */
  end(outcome: string): void {
    this.say(outcome);
    this.show(outcome === 'Done.' ? 1 : 0, '');
  }

  private show(done: number, detail: string): void {
    this.bar.value = done;
    this.detail.textContent = detail;
  }
}
