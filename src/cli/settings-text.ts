import type { DiTRunDescription, Painter, PixArtRunDescription, SamplerName } from '../index.ts';
import type { GenerateRequest } from './generate-request.ts';
import { modelName } from './open-painter.ts';
import {
  type ClassSettings,
  type PromptStoredSettings,
  SETTINGS_KEYWORD,
  type StoredSettings,
  settingsOfFormat,
  storedLayout,
} from './stored-settings.ts';

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

/** The settings of a run, all that repeats it. @param description of the run's subjects, a picture each */
export function settingsOf(
  painter: Painter,
  request: GenerateRequest,
  description: DiTRunDescription | PixArtRunDescription,
): StoredSettings {
  const { options, kind, subjects, seeds, compare, batchSize, policy } = request;
  const { numerics, timesteps, guidanceScale, sampler, eta, backend, dtype } = description;
  const given = subjects.map((subject) => subject.given);
  const common = {
    model: modelName(options, kind),
    ...storedLayout(options),
    ...{ sha256: [...painter.pipe.sha256], numerics, seeds: [...seeds], numInferenceSteps: timesteps.length },
    ...(options.timesteps === undefined ? {} : { timesteps: [...timesteps] }),
    ...{
      guidanceScale,
      sampler,
      eta,
      cache: policy ? (options.cache ?? description.cache) : null,
      cacheOptions: [...(options.cacheOption ?? [])],
    },
    ...{ compare, batchSize, backend, dtype },
  };
  if (!('prompts' in description)) {
    const { inputSize } = painter.pipe.transformer.config;
    const pixels = inputSize * painter.pipe.vae.scale;
    const classes = { classes: given, classLabels: [...description.classLabels], width: pixels, height: pixels };
    return settingsOfFormat<ClassSettings>({ pipeline: 'DiTPipeline', ...common, ...classes });
  }
  const { width, height } = description;
  const { negativePrompt = null, cleanPrompt = true, embeds } = options;
  const prompts = { prompts: given, negativePrompt, cleanPrompt, ...(embeds === undefined ? {} : { embeds }) };
  return settingsOfFormat<PromptStoredSettings>({ pipeline: 'PixArtPipeline', ...common, ...prompts, width, height });
}

/** The settings of one picture of the run. @param size of it, where pictures differ in that */
export function settingsOfPicture(
  settings: StoredSettings,
  index: number,
  size: { readonly width?: number | undefined; readonly height?: number | undefined } = {},
): StoredSettings {
  const { seeds } = settings;
  const [row, column] = [Math.floor(index / seeds.length), index % seeds.length];
  const own = { seeds: seeds.slice(column, column + 1) };
  if (settings.pipeline === 'DiTPipeline') {
    const { classes, classLabels } = settings;
    return { ...settings, ...own, classes: classes.slice(row, row + 1), classLabels: classLabels.slice(row, row + 1) };
  }
  const { width = settings.width, height = settings.height } = size;
  return { ...settings, ...own, prompts: settings.prompts.slice(row, row + 1), width, height };
}

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
