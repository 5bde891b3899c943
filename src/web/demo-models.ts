import type { SamplerName } from '../index.ts';

/** A checkpoint that is served with the page. */
export interface DemoModel {
  /** Of its folder in checkpoints. */
  readonly name: string;
  readonly title: string;
  /** What it paints. */
  readonly subject: 'class' | 'prompt';
  /** The first is what the checkpoint means. */
  readonly samplers: readonly SamplerName[];
  /** Prompts like those that it was trained on, or not seen; the first is filled in. */
  readonly prompts: readonly string[];
  readonly depth: number;
  readonly scheduler: Readonly<Record<string, unknown>>;
  /** Classes by number. */
  readonly labels: readonly string[];
  readonly defaults: { readonly numInferenceSteps: number; readonly guidanceScale: number };
}

const PROMPTS = [
  'a grinning cat',
  'a blue heart',
  'cat with sunglasses',
  'an emoji of a red apple',
  'emoji of a mouse face',
  'a birthday cake',
  'a picture of a hedgehog',
  'an icon of a guide dog',
];

export const DEMO_MODELS: readonly DemoModel[] = [
  demoModel({
    name: 'dit-emoji',
    title: 'DiT, from a class',
    subject: 'class',
    samplers: ['ddim', 'dpm-solver++', 'unipc', 'deis', 'ddpm'],
    prompts: [],
  }),
  demoModel({
    name: 'pixart-emoji',
    title: 'PixArt-α, from a prompt',
    subject: 'prompt',
    samplers: ['dpm-solver++', 'ddim', 'unipc', 'deis', 'ddpm'],
    prompts: PROMPTS,
  }),
  demoModel({
    name: 'pixart-emoji-lcm',
    title: 'PixArt-α LCM, in four steps',
    subject: 'prompt',
    samplers: ['lcm'],
    prompts: PROMPTS,
  }),
];

export const SAMPLER_TITLES: Readonly<Partial<Record<SamplerName, string>>> = {
  ddim: 'DDIM',
  ddpm: 'DDPM',
  'dpm-solver++': 'DPM-Solver++',
  unipc: 'UniPC',
  deis: 'DEIS',
  lcm: 'LCM',
};

/** @throws RangeError for a name that is none */
export function modelNamed(name: string): DemoModel {
  const found = DEMO_MODELS.find((model) => model.name === name);
  if (!found) throw new RangeError(`${name}: no such demo model`);
  return found;
}

type Written = Pick<DemoModel, 'name' | 'title' | 'subject' | 'samplers' | 'prompts'>;

function demoModel(written: Written): DemoModel {
  const manifest = MANIFESTS[written.name];
  if (!manifest) throw new RangeError(`${written.name}: the page was built without its manifest`);
  const { transformer, scheduler, labels = [], defaults } = manifest;
  return { ...written, depth: transformer.config.depth, scheduler, labels, defaults };
}
