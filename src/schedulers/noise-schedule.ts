import { OptionError } from '../errors.ts';

/** Of diffusers' scheduler_config.json, what every scheduler shares. The defaults are those of DiT and PixArt. */
export interface NoiseSchedule {
  readonly numTrainTimesteps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: 'linear' | 'scaled_linear';
}

/** Linear β from 1e-4 to 0.02 over 1000 steps: DiT gaussian_diffusion.py, PixArt, and their diffusers folders. */
export const LINEAR_SCHEDULE: NoiseSchedule = {
  numTrainTimesteps: 1000,
  betaStart: 1e-4,
  betaEnd: 0.02,
  betaSchedule: 'linear',
};

/**
 * ᾱ_t for t = 0 … numTrainTimesteps − 1, rounded to float32 as diffusers keeps it.
 * β is interpolated in float32; the product runs in double.
 */
export function alphasCumprod({
  numTrainTimesteps: count,
  betaStart,
  betaEnd,
  betaSchedule,
}: NoiseSchedule): Float32Array {
  const root = betaSchedule === 'scaled_linear';
  const [first, last] = root ? [Math.sqrt(betaStart), Math.sqrt(betaEnd)] : [betaStart, betaEnd];
  const table = new Float32Array(count);
  let product = 1;
  for (let t = 0; t < count; t++) {
    const level = Math.fround(linspaceAt(first, last, count, t));
    product *= Math.fround(1 - Math.fround(root ? level * level : level));
    table[t] = product;
  }
  return table;
}

// torch.linspace counts from the nearer end with a float32 step, each value rounded once (a fused multiply-add)
function linspaceAt(first: number, last: number, count: number, i: number): number {
  if (count === 1) return first;
  const step = Math.fround(Math.fround(last - first) / (count - 1));
  return Math.fround(i < count / 2 ? Math.fround(first) + step * i : Math.fround(last) - step * (count - 1 - i));
}

/** Rounds half to even, as numpy and Python do. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** @throws OptionError unless `steps` is a whole number from 1 to the length of the schedule. */
export function checkSteps(steps: number, numTrainTimesteps: number): void {
  if (!Number.isInteger(steps) || steps < 1 || steps > numTrainTimesteps) {
    throw new OptionError(`numInferenceSteps: expected a whole number from 1 to ${numTrainTimesteps}, got ${steps}`);
  }
}
