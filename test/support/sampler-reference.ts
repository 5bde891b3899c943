import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SamplerName } from '../../src/schedulers/samplers.ts';

export interface SamplerLoop {
  readonly sampler: SamplerName;
  /** As it stands in a scheduler_config.json. */
  readonly scheduler: Record<string, unknown>;
  readonly eta: number;
  /** Whether the model gives variance logits. */
  readonly learned: boolean;
  readonly timesteps: number[];
  /** Whether the timesteps were given, instead of their number. */
  readonly given?: true;
  /** After each step, channels last. */
  readonly latents: number[][];
}

type SpacedTimesteps = Record<'leading' | 'linspace' | 'trailing', Record<string, number[]>>;

/** What diffusers' schedulers and the original DiT's and PixArt-LCM's sampling compute; written by test/fixtures/make_samplers.py. */
export interface SamplerReference {
  readonly seed: number;
  readonly timesteps: {
    readonly 'dpm-solver++': SpacedTimesteps;
    readonly unipc: SpacedTimesteps;
    readonly deis: SpacedTimesteps;
    readonly 'ddpm-original': Record<string, number[]>;
    readonly 'ddim-original': Record<string, number[]>;
    readonly lcm: Record<string, number[]>;
    readonly 'lcm-original': Record<string, number[]>;
  };
  readonly loops: SamplerLoop[];
  /** The original demo's loop around the tiny DiT: the latents after the first and after the last step. */
  readonly tiny: {
    readonly seed: number;
    readonly steps: number;
    readonly classes: number[];
    readonly guided: [number[], number[]];
    readonly unguided: [number[], number[]];
  };
}

export function readSamplerReference(): SamplerReference {
  return JSON.parse(readFileSync(join(__dirname, '../fixtures/samplers.json'), 'utf8')) as SamplerReference;
}
