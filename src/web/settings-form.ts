import type { BackendName, SamplerName } from '../index.ts';
import { CACHE_METHODS, type CacheChoice, methodNamed } from './cache-methods.ts';
import { CacheOptionFields } from './cache-option-fields.ts';
import { DEMO_MODELS, type DemoModel, modelNamed, SAMPLER_TITLES } from './demo-models.ts';
import { element, made } from './dom.ts';
import type { RunRequest } from './messages.ts';

const model = element('model', HTMLSelectElement);
const classes = element('class', HTMLSelectElement);
const prompt = element('prompt', HTMLInputElement);
const seed = element('seed', HTMLInputElement);
const steps = element('steps', HTMLInputElement);
const guidance = element('guidance', HTMLInputElement);
const sampler = element('sampler', HTMLSelectElement);
const cache = element('cache', HTMLSelectElement);
const compare = element('compare', HTMLInputElement);
const backend = element('backend', HTMLSelectElement);

const BACKEND_TITLES: Readonly<Partial<Record<BackendName, string>>> = {
  webgpu: 'WebGPU',
  wasm: 'WebAssembly',
};

/** What is asked for, as controls. */
export class SettingsForm {
  private readonly form = element('settings', HTMLFormElement);
  private readonly cacheOptions = new CacheOptionFields(element('cache-options', HTMLFieldSetElement));

  /** @param onChange called when anything is entered @param onSubmit when all is valid and pictures are wanted */
  constructor(onChange: () => void, onSubmit: () => void) {
    fill(
      model,
      DEMO_MODELS.map(({ name, title }) => [name, title]),
    );
    fill(cache, [['none', 'None'], ...CACHE_METHODS.map(({ name, title }) => [name, title] as const)]);
    fill(backend, [['', 'The fastest there is'], ...Object.entries(BACKEND_TITLES)]);
    cache.value = 'delta-dit';
    this.showModel();
    this.showCache();
    model.addEventListener('change', () => this.showModel());
    cache.addEventListener('change', () => this.showCache());
    element('dice', HTMLButtonElement).addEventListener('click', () => this.throwDice());
    // a choice changes others, once it is made
    this.form.addEventListener('change', ({ target }) => target instanceof HTMLSelectElement && onChange());
    this.form.addEventListener('input', ({ target }) => target instanceof HTMLInputElement && onChange());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      onSubmit();
    });
  }

  get model(): DemoModel {
    return modelNamed(model.value);
  }

  get backend(): BackendName | undefined {
    return (backend.value || undefined) as BackendName | undefined;
  }

  /** What is entered; undefined while something of it is not valid. */
  read(): RunRequest | undefined {
    if (!this.form.checkValidity()) return undefined;
    return {
      model: this.model.name,
      subject: this.model.subject === 'class' ? classes.value : prompt.value.trim(),
      seed: seed.valueAsNumber,
      numInferenceSteps: steps.valueAsNumber,
      guidanceScale: guidance.valueAsNumber,
      sampler: sampler.value as SamplerName,
      cache: this.cacheChoice(),
      compare: compare.checked,
      backend: this.backend,
    };
  }

  /** What the method takes for the options that are left to it. */
  suggest(values: Readonly<Record<string, number>>): void {
    this.cacheOptions.suggest(values);
  }

  private cacheChoice(): CacheChoice | null {
    const method = methodNamed(cache.value);
    return method ? { method: method.name, options: this.cacheOptions.read() } : null;
  }

  private showModel(): void {
    const { subject, samplers, prompts, labels, defaults } = this.model;
    element('class-field', HTMLDivElement).hidden = subject !== 'class';
    element('prompt-field', HTMLDivElement).hidden = subject !== 'prompt';
    prompt.required = subject === 'prompt';
    if (subject === 'class')
      fillKeeping(
        classes,
        labels.map((label) => [label, label]),
        'cat face',
      );
    prompt.value ||= prompts[0] ?? '';
    element('prompts', HTMLDataListElement).replaceChildren(...prompts.map((value) => made('option', { value })));
    fill(
      sampler,
      samplers.map((name) => [name, SAMPLER_TITLES[name] ?? name]),
    );
    steps.valueAsNumber = defaults.numInferenceSteps;
    guidance.valueAsNumber = defaults.guidanceScale;
  }

  private showCache(): void {
    const method = methodNamed(cache.value);
    element('cache-note', HTMLParagraphElement).textContent = method?.note ?? 'Every step computes every block.';
    element('compare-field', HTMLLabelElement).hidden = method === undefined;
    this.cacheOptions.show(method?.options ?? []);
  }

  private throwDice(): void {
    seed.valueAsNumber = Math.floor(Math.random() * 2 ** 32);
    seed.dispatchEvent(new Event('input', { bubbles: true }));
  }
}

type Choices = readonly (readonly [value: string, title: string])[];

function fill(select: HTMLSelectElement, choices: Choices): void {
  select.replaceChildren(...choices.map(([value, textContent]) => made('option', { value, textContent })));
}

/** The same, with what was chosen before; at first `otherwise`. */
function fillKeeping(select: HTMLSelectElement, choices: Choices, otherwise: string): void {
  const before = select.value || otherwise;
  fill(select, choices);
  if (choices.some(([value]) => value === before)) select.value = before;
}
