import { CheckpointError, OptionError } from '../errors.ts';
import { DDIMSampler } from './ddim.ts';
import { OriginalDDIMSampler } from './ddim-original.ts';
import { DDPMSampler } from './ddpm.ts';
import { OriginalDDPMSampler } from './ddpm-original.ts';
import { DEISSampler } from './deis.ts';
import { DPMSolverSampler } from './dpm-solver.ts';
import { LCMSampler } from './lcm.ts';
import type { Sampler, Steps, Timestep } from './sampler.ts';
import {
  ddimConfig,
  ddpmConfig,
  deisConfig,
  dpmSolverConfig,
  lcmConfig,
  noiseSchedule,
  type SchedulerRecord,
  unipcConfig,
} from './scheduler-config.ts';
import { UniPCSampler } from './unipc.ts';

/** The samplers by name: diffusers' schedulers, two of facebookresearch/DiT, and PixArt-alpha's for its LCM. */
export const SAMPLER_NAMES = [
  'ddim',
  'ddpm',
  'dpm-solver++',
  'unipc',
  'deis',
  'lcm',
  'ddpm-original',
  'ddim-original',
  'lcm-original',
] as const;
export type SamplerName = (typeof SAMPLER_NAMES)[number];

export interface StepsOption {
  /** How many steps, laid as the scheduler's settings say. */
  readonly numInferenceSteps?: number | undefined;
  /** Instead: the training timesteps of the steps, falling. */
  readonly timesteps?: readonly Timestep[] | undefined;
}

/** A sampler's steps, one of the two ways, and settings. */
export interface SamplerOptions extends StepsOption {
  /** η of the DDIMs. Default 0. */
  readonly eta?: number | undefined;
  /** A checkpoint's scheduler_config.json, of whichever class. Empty, the default: DiT's own settings. */
  readonly scheduler?: SchedulerRecord | undefined;
}

type Create<S> = (steps: S, scheduler: SchedulerRecord, eta: number) => Sampler;

type NamedSampler = SamplerTraits &
  (
    | { readonly takesTimesteps: true; readonly create: Create<Steps> }
    | { readonly takesTimesteps: false; readonly create: Create<number> }
  );

interface SamplerTraits {
  /** The diffusers class that is meant. */
  readonly className?: string;
  /** 'eta': as much as η says, which no other sampler takes. */
  readonly addsNoise: boolean | 'eta';
}

const SAMPLERS: Readonly<Record<SamplerName, NamedSampler>> = {
  ddim: {
    create: (steps, scheduler, eta) => new DDIMSampler(steps, ddimConfig(scheduler), eta),
    takesTimesteps: true,
    className: 'DDIMScheduler',
    addsNoise: 'eta',
  },
  ddpm: {
    create: (steps, scheduler) => new DDPMSampler(steps, ddpmConfig(scheduler)),
    takesTimesteps: true,
    className: 'DDPMScheduler',
    addsNoise: true,
  },
  'dpm-solver++': {
    create: (steps, scheduler) => new DPMSolverSampler(steps, dpmSolverConfig(scheduler)),
    takesTimesteps: true,
    className: 'DPMSolverMultistepScheduler',
    addsNoise: false,
  },
  unipc: {
    create: (steps, scheduler) => new UniPCSampler(steps, unipcConfig(scheduler)),
    takesTimesteps: true,
    className: 'UniPCMultistepScheduler',
    addsNoise: false,
  },
  deis: {
    create: (steps, scheduler) => new DEISSampler(steps, deisConfig(scheduler)),
    takesTimesteps: true,
    className: 'DEISMultistepScheduler',
    addsNoise: false,
  },
  lcm: {
    create: (steps, scheduler) => new LCMSampler(steps, lcmConfig(scheduler)),
    takesTimesteps: false,
    className: 'LCMScheduler',
    addsNoise: true,
  },
  'ddpm-original': {
    create: (steps, scheduler) => new OriginalDDPMSampler(steps, noiseSchedule(scheduler)),
    takesTimesteps: false,
    addsNoise: true,
  },
  'ddim-original': {
    create: (steps, scheduler, eta) => new OriginalDDIMSampler(steps, noiseSchedule(scheduler), eta),
    takesTimesteps: false,
    addsNoise: 'eta',
  },
  'lcm-original': {
    create: (steps, scheduler) => new LCMSampler(steps, lcmConfig(scheduler), 'original'),
    takesTimesteps: false,
    addsNoise: true,
  },
};

/**
 * @throws OptionError for an unknown name, steps, timesteps or η out of range, or timesteps or η for a sampler without
 * them; CheckpointError for scheduler settings that are not supported.
 */
export function createSampler(name: SamplerName, options: SamplerOptions): Sampler {
  const { eta = 0, scheduler = {} } = options;
  const sampler = namedSampler(name);
  const steps = stepsOf(options);
  if (eta !== 0 && sampler.addsNoise !== 'eta') {
    const names = SAMPLER_NAMES.filter((other) => SAMPLERS[other].addsNoise === 'eta');
    throw new OptionError(`eta: only ${listed(names)} take it, got ${eta} for ${name}; leave it out`);
  }
  if (sampler.takesTimesteps) return sampler.create(steps, scheduler, eta);
  if (typeof steps === 'number') return sampler.create(steps, scheduler, eta);
  const names = SAMPLER_NAMES.filter((other) => SAMPLERS[other].takesTimesteps);
  throw new OptionError(`timesteps: only ${listed(names)} take them, not ${name}; give a number of steps instead`);
}

/** What of the two is given. @throws OptionError unless one of them is. */
export function stepsOf({ numInferenceSteps, timesteps }: StepsOption): Steps {
  const steps = timesteps ?? numInferenceSteps;
  if (steps !== undefined && (timesteps === undefined || numInferenceSteps === undefined)) return steps;
  const got = steps === undefined ? 'neither' : 'both';
  throw new OptionError(`numInferenceSteps and timesteps: expected one of the two, got ${got}`);
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
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
