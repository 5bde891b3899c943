import { torchNoise } from '../../src/pipelines/noise.ts';
import { createSampler, SAMPLER_NAMES } from '../../src/schedulers/samplers.ts';
import { relativeL2Of } from '../support/compare.ts';
import { madeUpModel } from '../support/made-up-model.ts';
import { readSamplerReference } from '../support/sampler-reference.ts';

const { seed, loops } = readSamplerReference();
const cases = loops.map((loop) => {
  const changes = Object.entries(loop.scheduler).filter(([key]) => !/^(num_train|beta_(start|end))/.test(key));
  const settings = changes.map(([key, value]) => `${key} ${value}`).join(', ');
  return { ...loop, steps: loop.timesteps.length, settings };
});

describe("samplers against diffusers' schedulers and the original diffusion", () => {
  it('every sampler is compared', () => {
    expect(new Set(cases.map(({ sampler }) => sampler))).toEqual(new Set(SAMPLER_NAMES));
  });

  it.each(cases)(
    '$sampler, η $eta, $steps steps, learned $learned: $settings',
    async ({ sampler: name, scheduler, eta, steps, learned, timesteps, latents }) => {
      const sampler = createSampler(name, { numInferenceSteps: steps, eta, scheduler });
      expect(sampler.timesteps).toEqual(timesteps);
      const noise = torchNoise(seed, 1);
      let x = noise([1, 2, 4, 2]);
      for (const [index, t] of sampler.timesteps.entries()) {
        x = sampler.step(index, madeUpModel(x, t, learned), x, noise);
        expect(relativeL2Of(await x.data(), latents[index]!)).toBeLessThan(1e-5);
      }
      sampler.dispose();
    },
  );
});
