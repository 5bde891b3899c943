import type { DiTPipeline, DiTRunDescription, SamplerName } from '../index.ts';
import type { GenerateRequest } from './generate-request.ts';
import { SETTINGS_KEYWORD, type StoredSettings, settingsOfFormat } from './stored-settings.ts';

/** As galleries name them. */
const SAMPLER_TITLES: Readonly<Record<SamplerName, string>> = {
  ddim: 'DDIM',
  ddpm: 'DDPM',
  'dpm-solver++': 'DPM++ 2M',
  lcm: 'LCM',
  'ddpm-original': 'DDPM (DiT)',
  'ddim-original': 'DDIM (DiT)',
  'lcm-original': 'LCM (PixArt)',
};

/** The settings of a run, all that repeats it. @param description of the run's classes, one each */
export function settingsOf(
  pipe: DiTPipeline,
  request: GenerateRequest,
  description: DiTRunDescription,
): StoredSettings {
  const { options, classes, seeds, compare, batchSize, policy } = request;
  const { model, vae, vaeScalingFactor, vaeNormGroups, labels, numHeads, inputSize, key } = options;
  const { numerics, classLabels, timesteps, guidanceScale, sampler, eta, backend } = description;
  const pixels = pipe.transformer.config.inputSize * pipe.vae.scale;
  return settingsOfFormat({
    model,
    ...{ vae, vaeScalingFactor, vaeNormGroups, labels, numHeads, inputSize, key },
    sha256: [...pipe.sha256],
    numerics,
    classes: [...classes],
    classLabels: [...classLabels],
    seeds: [...seeds],
    numInferenceSteps: timesteps.length,
    guidanceScale,
    sampler,
    eta,
    cache: policy?.name ?? null,
    cacheOptions: [...(options.cacheOption ?? [])],
    compare,
    batchSize,
    width: pixels,
    height: pixels,
    backend,
  });
}

/** The settings of one picture of the run. */
export function settingsOfPicture(settings: StoredSettings, index: number): StoredSettings {
  const { classes, classLabels, seeds } = settings;
  const [row, column] = [Math.floor(index / seeds.length), index % seeds.length];
  return {
    ...settings,
    classes: classes.slice(row, row + 1),
    classLabels: classLabels.slice(row, row + 1),
    seeds: seeds.slice(column, column + 1),
  };
}

/** For a PNG: `parameters` as galleries read them, and JSON that `--from-image` reads. */
export function pictureTexts(settings: StoredSettings): Record<string, string> {
  const fields = {
    Steps: settings.numInferenceSteps,
    Sampler: SAMPLER_TITLES[settings.sampler],
    ...(settings.eta > 0 ? { Eta: settings.eta } : {}),
    'CFG scale': settings.guidanceScale,
    Seed: settings.seeds[0],
    Size: `${settings.width}x${settings.height}`,
    Model: settings.model,
    ...(settings.cache ? { Cache: settings.cache } : {}),
    Version: `delta-dit ${settings.version}`,
  };
  const parameters = `${settings.classes.join(', ')}\n${Object.entries(fields)
    .map(([name, value]) => `${name}: ${quoted(String(value))}`)
    .join(', ')}`;
  return { parameters, [SETTINGS_KEYWORD]: JSON.stringify(settings) };
}

function quoted(value: string): string {
  return value.includes(',') ? JSON.stringify(value) : value;
}
