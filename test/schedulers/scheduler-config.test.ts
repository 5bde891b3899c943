import { CheckpointError } from '../../src/errors.ts';
import { DDIM_DEFAULTS } from '../../src/schedulers/ddim.ts';
import { ddimConfig } from '../../src/schedulers/scheduler-config.ts';
import { readDDIMReference } from '../support/ddim-reference.ts';

describe('ddimConfig', () => {
  it("an empty record gives the settings of DiT's folders, which do not clip", () => {
    expect(ddimConfig({})).toEqual(DDIM_DEFAULTS);
    expect(DDIM_DEFAULTS.clipSample).toBe(false);
  });

  it("reads a converted DiT's config, unknown keys left alone", () => {
    const json = {
      ...readDDIMReference().config,
      _class_name: 'DDIMScheduler',
      lambda_min_clipped: Number.NEGATIVE_INFINITY,
    };
    expect(ddimConfig(json)).toEqual(DDIM_DEFAULTS);
  });

  it('missing keys take the class defaults of diffusers, which clip', () => {
    expect(ddimConfig({ _class_name: 'DDIMScheduler' })).toEqual({ ...DDIM_DEFAULTS, clipSample: true });
  });

  it('reads every setting', () => {
    const json = {
      num_train_timesteps: 500,
      beta_start: 0.001,
      beta_end: 0.01,
      beta_schedule: 'scaled_linear',
      clip_sample: true,
      clip_sample_range: 3,
      set_alpha_to_one: false,
      steps_offset: 1,
      prediction_type: 'v_prediction',
      timestep_spacing: 'trailing',
    };
    expect(ddimConfig(json)).toEqual({
      numTrainTimesteps: 500,
      betaStart: 0.001,
      betaEnd: 0.01,
      betaSchedule: 'scaled_linear',
      clipSample: true,
      clipSampleRange: 3,
      setAlphaToOne: false,
      stepsOffset: 1,
      predictionType: 'v_prediction',
      timestepSpacing: 'trailing',
    });
  });

  it.each([
    ['beta_schedule', 'squaredcos_cap_v2'],
    ['trained_betas', [0.1]],
    ['thresholding', true],
    ['rescale_betas_zero_snr', true],
    ['prediction_type', 'flow'],
    ['num_train_timesteps', 0],
    ['steps_offset', -1],
  ])('names a setting that is not supported: %s = %p', (name, value) => {
    expect(() => ddimConfig({ [name]: value })).toThrow(CheckpointError);
    expect(() => ddimConfig({ [name]: value })).toThrow(new RegExp(`scheduler_config.json: [^]*${name}`));
  });
});
