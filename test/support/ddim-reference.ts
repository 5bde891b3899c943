import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PARITY } from './fixtures.ts';

export interface DDIMLoop {
  readonly name: string;
  /** Keys of scheduler_config.json that differ from `config`. */
  readonly changes: Record<string, unknown>;
  readonly steps: number;
  readonly timesteps: number[];
  readonly latents: number[][];
}

/** What diffusers' DDIMScheduler computes; written by test/fixtures/scheduler_parity.py. */
export interface DDIMReference {
  readonly config: Record<string, unknown>;
  readonly timesteps: Record<'leading' | 'linspace' | 'trailing', Record<string, number[]>>;
  readonly alphasCumprod: Record<'linear' | 'scaled_linear', Record<string, number>>;
  readonly initial: number[];
  readonly loops: DDIMLoop[];
}

export function readDDIMReference(): DDIMReference {
  return JSON.parse(readFileSync(join(PARITY, 'ddim.json'), 'utf8')) as DDIMReference;
}
