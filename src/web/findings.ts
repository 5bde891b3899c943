import { element, made } from './dom.ts';
import type { Compared } from './messages.ts';
import { decibels, times } from './words.ts';

/** What came of a run besides pictures: how they compare, warnings, and what went wrong. */
export class Findings {
  private readonly verdict = element('verdict', HTMLElement);
  private readonly warnings = element('warnings', HTMLUListElement);
  private readonly problems = element('problem', HTMLDivElement);
  /** Whether what is shown as a problem is about the settings, and goes when they do. */
  private ofSettings = false;

  /** How the pictures compare, in a sentence; empty where there is one only. */
  summary = '';

  clear(): void {
    this.summary = '';
    this.verdict.hidden = true;
    this.warnings.hidden = true;
    this.warnings.replaceChildren();
    this.problems.hidden = true;
  }

  compare({ speedUp, psnr, macsRatio }: Compared): void {
    element('speed-up', HTMLElement).textContent = times(speedUp);
    element('psnr', HTMLElement).textContent = decibels(psnr);
    element('macs', HTMLElement).textContent = macsRatio === undefined ? 'not known' : times(macsRatio);
    this.verdict.hidden = false;
    this.summary = `The cache made it ${times(speedUp)} as fast.`;
  }

  /** @param texts those that are shown already are left out */
  warn(texts: readonly string[]): void {
    const shown = new Set([...this.warnings.children].map(({ textContent }) => textContent));
    const fresh = texts.filter((text) => !shown.has(text));
    this.warnings.append(...fresh.map((textContent) => made('li', { textContent })));
    this.warnings.hidden = this.warnings.childElementCount === 0;
  }

  problem(message: string): void {
    this.ofSettings = false;
    this.problems.textContent = message;
    this.problems.hidden = false;
  }

  /** Why there is no plan for the settings; undefined where there is one. */
  refusal(message: string | undefined): void {
    if (message !== undefined) {
      this.problem(message);
      this.ofSettings = true;
    } else if (this.ofSettings) this.problems.hidden = true;
  }
}
