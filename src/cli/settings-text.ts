import type { DiTPipeline, GenerationReport, SamplerName } from '../index.ts';
import { packageVersion } from './package-folder.ts';
import type { Job } from './run-jobs.ts';

/** The keyword of the JSON that holds every setting. */
export const SETTINGS_KEYWORD = 'delta-dit';

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

/** The settings of a picture, for its PNG: `parameters` as galleries read it, and JSON that can repeat it. */
export function pictureTexts(
  pipe: DiTPipeline,
  report: GenerationReport,
  jobs: readonly Job[],
  options: {
    readonly model: string;
    readonly cache?: string;
    readonly cacheOption: readonly string[];
    readonly count: number;
  },
): Record<string, string> {
  const labels = [...new Set(jobs.map(({ label }) => label))];
  const fields = {
    Steps: report.timesteps.length,
    Sampler: SAMPLER_TITLES[report.sampler],
    ...(report.eta > 0 ? { Eta: report.eta } : {}),
    'CFG scale': report.guidanceScale,
    Seed: jobs[0]?.seed,
    Model: options.model,
    ...(report.cache ? { Cache: report.cache } : {}),
    Version: `delta-dit ${packageVersion()}`,
  };
  const parameters = `${labels.join(', ')}\n${Object.entries(fields)
    .map(([name, value]) => `${name}: ${quoted(String(value))}`)
    .join(', ')}`;
  const settings = {
    version: packageVersion(),
    model: options.model,
    sha256: pipe.sha256,
    classes: labels,
    classLabels: report.classLabels,
    count: options.count,
    seeds: report.seeds,
    numInferenceSteps: report.timesteps.length,
    guidanceScale: report.guidanceScale,
    sampler: report.sampler,
    eta: report.eta,
    cache: report.cache,
    cacheOptions: options.cacheOption,
    numerics: report.numerics,
    backend: report.backend,
    dtype: 'float32',
    rng: 'torch-cpu',
  };
  return { parameters, [SETTINGS_KEYWORD]: JSON.stringify(settings) };
}

function quoted(value: string): string {
  return value.includes(',') ? JSON.stringify(value) : value;
}
