import type { NoiseSchedule } from './noise-schedule.ts';
import type { Timestep } from './sampler.ts';

/** A diffusion over some of the training timesteps, in float64; index 0 is the last step before the image. */
export interface RespacedDiffusion {
  readonly betas: Float64Array;
  readonly alphasCumprod: Float64Array;
}

/**
 * The betas that keep ᾱ of the visited timesteps (facebookresearch/DiT respace.py, SpacedDiffusion).
 * @param timesteps from noise to image
 */
export function respacedDiffusion(schedule: NoiseSchedule, timesteps: readonly Timestep[]): RespacedDiffusion {
  const original = cumulativeProduct(trainingBetas(schedule));
  let previous = 1;
  const betas = Float64Array.from(timesteps.toReversed(), (t) => {
    const alpha = original[t] ?? 1;
    const beta = 1 - alpha / previous;
    previous = alpha;
    return beta;
  });
  return { betas, alphasCumprod: cumulativeProduct(betas) };
}

/** β of each training timestep, as numpy.linspace gives it in float64. */
function trainingBetas({ numTrainTimesteps: count, betaStart, betaEnd, betaSchedule }: NoiseSchedule): Float64Array {
  const root = betaSchedule === 'scaled_linear';
  const [first, last] = root ? [Math.sqrt(betaStart), Math.sqrt(betaEnd)] : [betaStart, betaEnd];
  const step = count === 1 ? 0 : (last - first) / (count - 1);
  return Float64Array.from({ length: count }, (_, t) => {
    const level = t > 0 && t === count - 1 ? last : first + t * step;
    return root ? level * level : level;
  });
}

function cumulativeProduct(betas: Float64Array): Float64Array {
  let product = 1;
  return betas.map((beta) => {
    product *= 1 - beta;
    return product;
  });
}
