import { OptionError } from '../../src/errors.ts';
import { addsNoise, createSampler, SAMPLER_NAMES, type SamplerName, samplerOf } from '../../src/schedulers/samplers.ts';

describe('samplers by name', () => {
  it('names what exists when the name is unknown', () => {
    expect(() => createSampler('euler' as SamplerName, { numInferenceSteps: 4 })).toThrow(
      new OptionError(
        'sampler: expected ddim, ddpm, dpm-solver++, lcm, ddpm-original, ddim-original, lcm-original; got "euler"',
      ),
    );
    expect(() => createSampler('toString' as SamplerName, { numInferenceSteps: 4 })).toThrow(OptionError);
  });

  it('takes η where there is one', () => {
    for (const name of SAMPLER_NAMES) {
      const create = () => createSampler(name, { numInferenceSteps: 4, eta: 0.5 });
      if (name.startsWith('ddim')) expect(create).not.toThrow();
      else
        expect(create).toThrow(
          new OptionError(`eta: only ddim and ddim-original take it, got 0.5 for ${name}; leave it out`),
        );
    }
  });

  it.each([-0.1, 1.1, Number.NaN, Number.POSITIVE_INFINITY])('refuses η of %d', (eta) => {
    for (const name of ['ddim', 'ddim-original'] as const) {
      expect(() => createSampler(name, { numInferenceSteps: 4, eta })).toThrow(
        new OptionError(`eta: expected a number from 0 to 1, got ${eta}`),
      );
    }
  });

  it.each([
    ['ddim', 0, false],
    ['ddim', 0.1, true],
    ['ddim-original', 0, false],
    ['ddim-original', 1, true],
    ['ddpm', 0, true],
    ['ddpm-original', 0, true],
    ['dpm-solver++', 0, false],
    ['lcm', 0, true],
    ['lcm-original', 0, true],
  ] as const)('%s with η %d adds noise: %p', (name, eta, adds) => {
    expect(addsNoise(name, eta)).toBe(adds);
  });

  it('reads the class of a scheduler_config.json', () => {
    expect(samplerOf({})).toBe('ddim');
    expect(samplerOf({ _class_name: 'DDIMScheduler' })).toBe('ddim');
    expect(samplerOf({ _class_name: 'DDPMScheduler' })).toBe('ddpm');
    expect(samplerOf({ _class_name: 'DPMSolverMultistepScheduler' })).toBe('dpm-solver++');
    expect(samplerOf({ _class_name: 'LCMScheduler' })).toBe('lcm');
    expect(() => samplerOf({ _class_name: 'PNDMScheduler' })).toThrow(/"PNDMScheduler" is not among the samplers/);
  });
});
