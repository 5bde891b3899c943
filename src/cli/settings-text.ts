import {
  type ClassSettings,
  type DiTRunDescription,
  type Painter,
  type PixArtRunDescription,
  type PromptStoredSettings,
  type StoredSettings,
  settingsOfFormat,
  storedLayout,
} from '../index.ts';
import type { GenerateRequest } from './generate-request.ts';
import { modelName } from './open-painter.ts';
import { packageVersion } from './package-folder.ts';

/** The settings of a run, all that repeats it. @param description of the run's subjects, a picture each */
export function settingsOf(
  painter: Painter,
  request: GenerateRequest,
  description: DiTRunDescription | PixArtRunDescription,
): StoredSettings {
  const { options, kind, subjects, seeds, compare, batchSize, policy } = request;
  const { numerics, timesteps, guidanceScale, sampler, eta, backend, dtype } = description;
  const given = subjects.map((subject) => subject.given);
  const version = packageVersion();
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
    return settingsOfFormat<ClassSettings>({ pipeline: 'DiTPipeline', ...common, ...classes }, version);
  }
  const { width, height } = description;
  const { negativePrompt = null, cleanPrompt = true, embeds } = options;
  const prompts = { prompts: given, negativePrompt, cleanPrompt, ...(embeds === undefined ? {} : { embeds }) };
  return settingsOfFormat<PromptStoredSettings>(
    { pipeline: 'PixArtPipeline', ...common, ...prompts, width, height },
    version,
  );
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
