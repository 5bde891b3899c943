import { CheckpointError, OptionError } from '../errors.ts';
import { DDIMSampler } from './ddim.ts';
import { OriginalDDIMSampler } from './ddim-original.ts';
import { DDPMSampler } from './ddpm.ts';
import { OriginalDDPMSampler } from './ddpm-original.ts';
import { DPMSolverSampler } from './dpm-solver.ts';
import { LCMSampler } from './lcm.ts';
import type { Sampler } from './sampler.ts';
import {
  ddimConfig,
  ddpmConfig,
  dpmSolverConfig,
  lcmConfig,
  noiseSchedule,
  type SchedulerRecord,
} from './scheduler-config.ts';

/** The samplers by name: diffusers' schedulers, two of facebookresearch/DiT, and PixArt-alpha's for its LCM. */
export const SAMPLER_NAMES = [
  'ddim',
  'ddpm',
  'dpm-solver++',
  'lcm',
  'ddpm-original',
  'ddim-original',
  'lcm-original',
] as const;
export type SamplerName = (typeof SAMPLER_NAMES)[number];

export interface SamplerOptions {
  readonly numInferenceSteps: number;
  /** η of the DDIMs. Default 0. */
  readonly eta?: number | undefined;
  /** A checkpoint's scheduler_config.json, of whichever class. Empty, the default: DiT's own settings. */
  readonly scheduler?: SchedulerRecord | undefined;
}

interface NamedSampler {
  readonly create: (steps: number, scheduler: SchedulerRecord, eta: number) => Sampler;
  /** The diffusers class that is meant. */
  readonly className?: string;
  /** 'eta': as much as η says, which no other sampler takes. */
  readonly addsNoise: boolean | 'eta';
}

const SAMPLERS: Readonly<Record<SamplerName, NamedSampler>> = {
  ddim: {
    create: (steps, scheduler, eta) => new DDIMSampler(steps, ddimConfig(scheduler), eta),
    className: 'DDIMScheduler',
    addsNoise: 'eta',
  },
  ddpm: {
    create: (steps, scheduler) => new DDPMSampler(steps, ddpmConfig(scheduler)),
    className: 'DDPMScheduler',
    addsNoise: true,
  },
  'dpm-solver++': {
    create: (steps, scheduler) => new DPMSolverSampler(steps, dpmSolverConfig(scheduler)),
    className: 'DPMSolverMultistepScheduler',
    addsNoise: false,
  },
  lcm: {
    create: (steps, scheduler) => new LCMSampler(steps, lcmConfig(scheduler)),
    className: 'LCMScheduler',
    addsNoise: true,
  },
  'ddpm-original': {
    create: (steps, scheduler) => new OriginalDDPMSampler(steps, noiseSchedule(scheduler)),
    addsNoise: true,
  },
  'ddim-original': {
    create: (steps, scheduler, eta) => new OriginalDDIMSampler(steps, noiseSchedule(scheduler), eta),
    addsNoise: 'eta',
  },
  'lcm-original': {
    create: (steps, scheduler) => new LCMSampler(steps, lcmConfig(scheduler), 'original'),
    addsNoise: true,
  },
};

/**
 * @throws OptionError for an unknown name, steps or η out of range, or η for a sampler without it; CheckpointError for
 * scheduler settings that are not supported.
 */
export function createSampler(name: SamplerName, options: SamplerOptions): Sampler {
  const { numInferenceSteps, eta = 0, scheduler = {} } = options;
  const sampler = namedSampler(name);
  if (eta !== 0 && sampler.addsNoise !== 'eta') {
    const names = SAMPLER_NAMES.filter((other) => SAMPLERS[other].addsNoise === 'eta');
    throw new OptionError(`eta: only ${names.join(' and ')} take it, got ${eta} for ${name}; leave it out`);
  }
  return sampler.create(numInferenceSteps, scheduler, eta);
}

/** Whether the sampler adds fresh noise on the way. */
export function addsNoise(name: SamplerName, eta: number): boolean {
  const { addsNoise: adds } = namedSampler(name);
  return adds === 'eta' ? eta > 0 : adds;
}

/** Whether the sampler reads the model's variance logits, which a predicted output does not have. */
export function readsVariance(name: SamplerName): boolean {
  return name === 'ddpm' || name === 'ddpm-original';
}

/**
 * The sampler that a scheduler_config.json means; ddim where it names none.
 * @throws CheckpointError for a scheduler class that is not here: another would read its settings otherwise.
 */
export function samplerOf({ _class_name: className }: SchedulerRecord): SamplerName {
  if (className === undefined) return 'ddim';
  const named = SAMPLER_NAMES.find((name) => SAMPLERS[name].className === className);
  if (named) return named;
  throw new CheckpointError(
    `scheduler_config.json: ${JSON.stringify(className)} is not among the samplers; choose one of ${SAMPLER_NAMES.join(', ')}`,
  );
}

function namedSampler(name: SamplerName): NamedSampler {
  if (!SAMPLER_NAMES.includes(name)) {
    throw new OptionError(`sampler: expected ${SAMPLER_NAMES.join(', ')}; got ${JSON.stringify(name)}`);
  }
  return SAMPLERS[name];
}
