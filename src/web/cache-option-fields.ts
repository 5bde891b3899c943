import type { MethodOption } from './cache-methods.ts';
import { made } from './dom.ts';

/** The numbers of a cache method; those left empty are the method's own. */
export class CacheOptionFields {
  private options: readonly MethodOption[] = [];
  private inputs = new Map<string, HTMLInputElement>();

  constructor(private readonly group: HTMLElement) {}

  show(options: readonly MethodOption[]): void {
    this.options = options;
    this.inputs = new Map(options.map((option) => [option.name, inputOf(option)]));
    this.group.hidden = options.length === 0;
    this.group.replaceChildren(...options.map((option) => this.field(option)));
  }

  /** @param values shown where nothing is entered */
  suggest(values: Readonly<Record<string, number>>): void {
    for (const { name, otherwise } of this.options) {
      const input = this.inputs.get(name);
      if (input) input.placeholder = String(otherwise ?? values[name] ?? '');
    }
  }

  /** What is entered. */
  read(): Record<string, number> {
    const entered = [...this.inputs].filter(([, input]) => input.value !== '');
    return Object.fromEntries(entered.map(([name, input]) => [name, input.valueAsNumber]));
  }

  private field({ name, label, meaning }: MethodOption): HTMLElement {
    const [stem = '', index] = label.split('_');
    const shown = made('span', {}, stem, ...(index === undefined ? [] : [made('sub', { textContent: index })]));
    const text = made('span', { className: 'meaning', textContent: meaning });
    return made('label', {}, shown, ...[this.inputs.get(name)].filter((input) => input !== undefined), text);
  }
}

function inputOf({ name, min, max, step }: MethodOption): HTMLInputElement {
  const limits = { min: String(min), max: String(max), step: String(step) };
  return made('input', { type: 'number', id: `option-${name}`, inputMode: 'decimal', ...limits });
}
