import { torchNoise } from '../../src/pipelines/noise.ts';
import { createSampler, SAMPLER_NAMES } from '../../src/schedulers/samplers.ts';
import { relativeL2Of } from '../support/compare.ts';
import { madeUpModel } from '../support/made-up-model.ts';
import { readSamplerReference } from '../support/sampler-reference.ts';

const { seed, loops } = readSamplerReference();
const cases = loops.map((loop) => {
  const changes = Object.entries(loop.scheduler).filter(([key]) => !/^(num_train|beta_(start|end))/.test(key));
  const settings = changes.map(([key, value]) => `${key} ${value}`).join(', ');
  const { timesteps, given } = loop;
  const steps = given ? { timesteps } : { numInferenceSteps: timesteps.length };
  return { ...loop, steps, laid: given ? 'given timesteps' : `${timesteps.length} steps`, settings };
});

/** ε out of another prediction is ill-conditioned: float32 moves diffusers' own latents by 5e-5. */
function toleranceOf({ predict_x0: predictX0, prediction_type: type }: Record<string, unknown>): number {
  return predictX0 === false && type !== undefined ? 5e-5 : 1e-5;
}

describe("samplers against diffusers' schedulers and the original diffusion", () => {
  it('every sampler is compared', () => {
    expect(new Set(cases.map(({ sampler }) => sampler))).toEqual(new Set(SAMPLER_NAMES));
  });

  it.each(cases)(
    '$sampler, η $eta, $laid, learned $learned: $settings',
    async ({ sampler: name, scheduler, eta, steps, learned, timesteps, latents }) => {
      const sampler = createSampler(name, { ...steps, eta, scheduler });
      expect(sampler.timesteps).toEqual(timesteps);
      const noise = torchNoise(seed, 1);
      let x = noise([1, 2, 4, 2]);
      for (const [index, t] of sampler.timesteps.entries()) {
        x = sampler.step(index, madeUpModel(x, t, learned), x, noise);
        expect(relativeL2Of(await x.data(), latents[index]!)).toBeLessThan(toleranceOf(scheduler));
      }
      sampler.dispose();
    },
  );
});
