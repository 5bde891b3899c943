import { OptionError } from '../../src/errors.ts';
import { addsNoise, createSampler, SAMPLER_NAMES, type SamplerName, samplerOf } from '../../src/schedulers/samplers.ts';

describe('samplers by name', () => {
  it('names what exists when the name is unknown', () => {
    expect(() => createSampler('euler' as SamplerName, { numInferenceSteps: 4 })).toThrow(
      new OptionError(
        'sampler: expected ddim, ddpm, dpm-solver++, unipc, deis, lcm, ddpm-original, ddim-original, lcm-original; got "euler"',
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
    ['unipc', 0, false],
    ['deis', 0, false],
    ['lcm', 0, true],
    ['lcm-original', 0, true],
  ] as const)('%s with η %d adds noise: %p', (name, eta, adds) => {
    expect(addsNoise(name, eta)).toBe(adds);
  });

  it('takes timesteps where it can visit any', () => {
    for (const name of SAMPLER_NAMES) {
      const create = () => createSampler(name, { timesteps: [999, 400, 31] });
      if (['ddim', 'ddpm', 'dpm-solver++', 'unipc', 'deis'].includes(name))
        expect(create().timesteps).toEqual([999, 400, 31]);
      else
        expect(create).toThrow(
          new OptionError(
            `timesteps: only ddim, ddpm, dpm-solver++, unipc and deis take them, not ${name}; give a number of steps instead`,
          ),
        );
    }
  });

  it('takes timesteps or their number', () => {
    const message = 'numInferenceSteps and timesteps: expected one of the two, got ';
    expect(() => createSampler('ddim', { numInferenceSteps: 1, timesteps: [999] })).toThrow(`${message}both`);
    expect(() => createSampler('ddim', {})).toThrow(new OptionError(`${message}neither`));
    expect(() => createSampler('ddim', { timesteps: [] })).toThrow(/^timesteps: expected .*; got none$/);
  });

  it('refuses a step at the noise that the run ends at', () => {
    const timesteps = [999, 0];
    const message = 'timesteps: the run ends at the noise of timestep 0, so that 0 is no step; leave it out';
    const scheduler = { final_sigmas_type: 'sigma_min' };
    for (const name of ['dpm-solver++', 'unipc'] as const) {
      expect(() => createSampler(name, { timesteps, scheduler })).toThrow(new OptionError(message));
      expect(createSampler(name, { timesteps }).timesteps).toEqual(timesteps);
    }
    expect(() => createSampler('deis', { timesteps })).toThrow(new OptionError(message));
  });

  it('reads the class of a scheduler_config.json', () => {
    expect(samplerOf({})).toBe('ddim');
    expect(samplerOf({ _class_name: 'DDIMScheduler' })).toBe('ddim');
    expect(samplerOf({ _class_name: 'DDPMScheduler' })).toBe('ddpm');
    expect(samplerOf({ _class_name: 'DPMSolverMultistepScheduler' })).toBe('dpm-solver++');
    expect(samplerOf({ _class_name: 'UniPCMultistepScheduler' })).toBe('unipc');
    expect(samplerOf({ _class_name: 'DEISMultistepScheduler' })).toBe('deis');
    expect(samplerOf({ _class_name: 'LCMScheduler' })).toBe('lcm');
    expect(() => samplerOf({ _class_name: 'PNDMScheduler' })).toThrow(/"PNDMScheduler" is not among the samplers/);
  });
});
