import {
  type ClassSettings,
  encodePng,
  type GenerationReport,
  type Painter,
  type PixArtReport,
  type PixelImage,
  type PromptStoredSettings,
  pictureTexts,
  type StoredSettings,
  settingsOfFormat,
} from '../index.ts';
import { optionPairs } from './cache-policies.ts';
import type { PictureDone, RunRequest } from './messages.ts';

export type Report = GenerationReport | PixArtReport;

/** A PNG with its settings inside, as the command line writes and reads them. */
export async function pictureFile(
  painter: Painter,
  request: RunRequest,
  picture: PixelImage,
  report: Report,
): Promise<PictureDone['file']> {
  const png = await encodePng(picture, pictureTexts(settingsOf(painter, request, picture, report)));
  return { name: fileName(request), png };
}

function settingsOf(
  { pipe }: Painter,
  { model, subject, seed, cache }: RunRequest,
  { width, height }: PixelImage,
  report: Report,
): StoredSettings {
  const { numerics, timesteps, guidanceScale, sampler, eta, backend, dtype } = report;
  const common = {
    ...{ model, sha256: [...pipe.sha256], numerics, seeds: [seed], numInferenceSteps: timesteps.length },
    ...{ guidanceScale, sampler, eta, cache: cache?.method ?? null, cacheOptions: cache ? optionPairs(cache) : [] },
    ...{ compare: false, batchSize: 1, width, height, backend, dtype },
  };
  if ('prompts' in report) {
    const prompts = { prompts: [subject], negativePrompt: null, cleanPrompt: true };
    const settings = { pipeline: 'PixArtPipeline' as const, ...common, ...prompts };
    return settingsOfFormat<PromptStoredSettings>(settings, DELTA_DIT_VERSION);
  }
  const classes = { classes: [subject], classLabels: [...report.classLabels] };
  const settings = { pipeline: 'DiTPipeline' as const, ...common, ...classes };
  return settingsOfFormat<ClassSettings>(settings, DELTA_DIT_VERSION);
}

/** Letters and digits of what the picture is. */
function fileName({ model, subject, seed, cache }: RunRequest): string {
  const parts = [model, subject.slice(0, 50), String(seed), cache?.method ?? ''];
  const words = parts.map((part) => part.replace(/[^\p{L}\p{M}\p{N}]+/gu, '-').replace(/^-|-$/g, ''));
  return `${words.filter(Boolean).join('-')}.png`;
}
