import type { NoiseSource } from '../../src/schedulers/sampler.ts';

/** For samplers that must not draw. */
export const noNoise: NoiseSource = () => {
  throw new Error('noise was drawn');
};
