import type { SamplerName } from '../schedulers/samplers.ts';
import { SETTINGS_KEYWORD, type StoredSettings } from './picture-settings.ts';

/** As galleries name them. */
const SAMPLER_TITLES: Readonly<Record<SamplerName, string>> = {
  ddim: 'DDIM',
  ddpm: 'DDPM',
  'dpm-solver++': 'DPM++ 2M',
  unipc: 'UniPC',
  deis: 'DEIS',
  lcm: 'LCM',
  'ddpm-original': 'DDPM (DiT)',
  'ddim-original': 'DDIM (DiT)',
  'lcm-original': 'LCM (PixArt)',
};

/** For a PNG: `parameters` as galleries read them, and JSON that `--from-image` reads. */
export function pictureTexts(settings: StoredSettings): Record<string, string> {
  const fields = {
    Steps: settings.numInferenceSteps,
    ...(settings.timesteps ? { Timesteps: settings.timesteps.join(', ') } : {}),
    Sampler: SAMPLER_TITLES[settings.sampler],
    ...(settings.eta > 0 ? { Eta: settings.eta } : {}),
    'CFG scale': settings.guidanceScale,
    Seed: settings.seeds[0],
    Size: `${settings.width}x${settings.height}`,
    Model: settings.model,
    ...(settings.cache ? { Cache: settings.cache } : {}),
    Version: `delta-dit ${settings.version}`,
  };
  const subjects = settings.pipeline === 'DiTPipeline' ? settings.classes : settings.prompts;
  const negative = settings.pipeline === 'DiTPipeline' ? null : settings.negativePrompt;
  const texts = [subjects.join(', '), ...(negative ? [`Negative prompt: ${negative}`] : [])].join('\n');
  const parameters = `${texts}\n${Object.entries(fields)
    .map(([name, value]) => `${name}: ${quoted(String(value))}`)
    .join(', ')}`;
  return { parameters, [SETTINGS_KEYWORD]: JSON.stringify(settings) };
}

function quoted(value: string): string {
  return value.includes(',') ? JSON.stringify(value) : value;
}
