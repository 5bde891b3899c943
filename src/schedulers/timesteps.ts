/** The timesteps that a run visits, from noise to image. Every rounding is half to even, as NumPy's and Python's. */
import { OptionError } from '../errors.ts';
import { checkSteps, roundHalfEven } from './noise-schedule.ts';
import type { Steps, Timestep } from './sampler.ts';

/** diffusers' timestep_spacing and steps_offset (Lin et al., arXiv 2305.08891, Table 2). */
export interface TimestepSpacing {
  readonly numTrainTimesteps: number;
  readonly timestepSpacing: 'leading' | 'linspace' | 'trailing';
  /** Added to leading timesteps. */
  readonly stepsOffset: number;
}

/**
 * Timesteps that a caller places.
 * @throws OptionError unless they are whole numbers that fall strictly, from below numTrainTimesteps to 0 at the least.
 */
export function givenTimesteps(timesteps: readonly Timestep[], numTrainTimesteps: number): Timestep[] {
  const wrong = timesteps.findIndex(
    (t, i) => !Number.isInteger(t) || t < 0 || t >= Math.min(timesteps[i - 1] ?? numTrainTimesteps, numTrainTimesteps),
  );
  if (timesteps.length > 0 && wrong === -1) return [...timesteps];
  const [found, before] = [timesteps[wrong], timesteps[wrong - 1]];
  const got = `${found ?? 'none'}${before === undefined ? '' : ` after ${before}`}`;
  throw new OptionError(
    `timesteps: expected whole numbers from ${numTrainTimesteps - 1} down to 0, each below the one before; got ${got}`,
  );
}

/**
 * As diffusers' DDIMScheduler and DDPMScheduler: linspace includes timestep 0.
 * @throws OptionError unless 1 ≤ steps ≤ numTrainTimesteps and the first timestep exists, or as `givenTimesteps`.
 */
export function spacedTimesteps(steps: Steps, spacing: TimestepSpacing): Timestep[] {
  if (typeof steps !== 'number') return givenTimesteps(steps, spacing.numTrainTimesteps);
  checkSteps(steps, spacing.numTrainTimesteps);
  if (spacing.timestepSpacing === 'trailing') return trailing(steps, spacing);
  if (spacing.timestepSpacing === 'leading') {
    return leading(steps, Math.floor(spacing.numTrainTimesteps / steps), 0, spacing);
  }
  const stride = steps === 1 ? 0 : (spacing.numTrainTimesteps - 1) / (steps - 1);
  return descending(steps, (k) => roundHalfEven(k * stride));
}

/**
 * As diffusers' DPMSolver-, UniPC- and DEISMultistepScheduler: leading and linspace lay steps + 1 timesteps and leave
 * timestep 0 out.
 * @throws OptionError as `spacedTimesteps`, and for the one number of steps at which timesteps would repeat.
 */
export function solverTimesteps(steps: Steps, spacing: TimestepSpacing): Timestep[] {
  const { numTrainTimesteps, timestepSpacing } = spacing;
  if (typeof steps !== 'number') return givenTimesteps(steps, numTrainTimesteps);
  checkSteps(steps, timestepSpacing === 'trailing' ? numTrainTimesteps : numTrainTimesteps - 1);
  if (timestepSpacing === 'trailing') return trailing(steps, spacing);
  if (timestepSpacing === 'leading') return leading(steps, Math.floor(numTrainTimesteps / (steps + 1)), 1, spacing);
  const stride = (numTrainTimesteps - 1) / steps;
  return descending(steps, (k) => roundHalfEven((k + 1) * stride));
}

/**
 * As facebookresearch/DiT respace.py space_timesteps lays a number K: a fractional stride, summed in floating point.
 * @throws OptionError unless 1 ≤ steps ≤ numTrainTimesteps.
 */
export function respacedTimesteps(steps: number, numTrainTimesteps: number): Timestep[] {
  checkSteps(steps, numTrainTimesteps);
  const stride = steps === 1 ? 1 : (numTrainTimesteps - 1) / (steps - 1);
  const kept: Timestep[] = [];
  for (let at = 0; kept.length < steps; at += stride) kept.unshift(roundHalfEven(at));
  return kept;
}

/**
 * As space_timesteps lays "ddimK": a whole stride from 0 that gives exactly K timesteps. K = 1, which the original
 * refuses, gives timestep 0.
 * @throws OptionError unless 1 ≤ steps ≤ numTrainTimesteps and such a stride exists; the message names neighbours.
 */
export function stridedTimesteps(steps: number, numTrainTimesteps: number): Timestep[] {
  checkSteps(steps, numTrainTimesteps);
  const stride = Math.ceil(numTrainTimesteps / steps); // the smallest that gives at most K
  const fewer = Math.ceil(numTrainTimesteps / stride);
  if (fewer !== steps) {
    const more = Math.ceil(numTrainTimesteps / (stride - 1));
    throw new OptionError(
      `numInferenceSteps: no whole stride over ${numTrainTimesteps} timesteps gives ${steps} steps (ddim-original); take ${fewer} or ${more}, or the sampler ddim`,
    );
  }
  return descending(steps, (k) => k * stride);
}

/** The timesteps that a consistency model was distilled over: a grid whose last is the last of all. */
export interface ConsistencyGrid {
  readonly numTrainTimesteps: number;
  readonly originalInferenceSteps: number;
}

/**
 * Some of a consistency model's timesteps, from the last on: evenly spread as diffusers' LCMScheduler lays them, or
 * with the whole stride of the original (PixArt-alpha diffusion/lcm_scheduler.py), which ends earlier.
 * @throws OptionError unless 1 ≤ steps ≤ originalInferenceSteps.
 */
export function consistencyTimesteps(
  steps: number,
  { numTrainTimesteps, originalInferenceSteps }: ConsistencyGrid,
  variant: 'diffusers' | 'original',
): Timestep[] {
  checkSteps(steps, originalInferenceSteps);
  const spacing = Math.floor(numTrainTimesteps / originalInferenceSteps);
  const stride = originalInferenceSteps / steps;
  const skipped = (i: number) => (variant === 'diffusers' ? Math.floor(i * stride) : i * Math.floor(stride));
  return Array.from({ length: steps }, (_, i) => (originalInferenceSteps - skipped(i)) * spacing - 1);
}

/** at(steps − 1) … at(0) */
function descending(steps: number, at: (k: number) => number): Timestep[] {
  return Array.from({ length: steps }, (_, i) => at(steps - 1 - i));
}

function trailing(steps: number, { numTrainTimesteps }: TimestepSpacing): Timestep[] {
  return Array.from(
    { length: steps },
    (_, i) => roundHalfEven(numTrainTimesteps - (i * numTrainTimesteps) / steps) - 1,
  );
}

function leading(steps: number, stride: number, from: number, spacing: TimestepSpacing): Timestep[] {
  const { numTrainTimesteps, stepsOffset } = spacing;
  const timesteps = descending(steps, (k) => (k + from) * stride + stepsOffset);
  const [first = 0] = timesteps;
  if (first >= numTrainTimesteps) {
    throw new OptionError(
      `numInferenceSteps: ${steps} steps with steps_offset ${stepsOffset} would start at timestep ${first}, past the last, ${numTrainTimesteps - 1}; take fewer`,
    );
  }
  return timesteps;
}
