import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseLenientJson } from '../../converters/formats/lenient-json.ts';
import { CheckpointError } from '../../src/errors.ts';
import { DDIM_DEFAULTS } from '../../src/schedulers/ddim.ts';
import { DDPM_DEFAULTS } from '../../src/schedulers/ddpm.ts';
import { DEIS_DEFAULTS } from '../../src/schedulers/deis.ts';
import { DPM_SOLVER_DEFAULTS } from '../../src/schedulers/dpm-solver.ts';
import { LCM_DEFAULTS } from '../../src/schedulers/lcm.ts';
import { LINEAR_SCHEDULE } from '../../src/schedulers/noise-schedule.ts';
import {
  ddimConfig,
  ddpmConfig,
  deisConfig,
  dpmSolverConfig,
  lcmConfig,
  noiseSchedule,
  type SchedulerRecord,
  unipcConfig,
} from '../../src/schedulers/scheduler-config.ts';
import { UNIPC_DEFAULTS } from '../../src/schedulers/unipc.ts';
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

describe('ddpmConfig', () => {
  it('an empty record does not clip, missing keys take the class defaults of diffusers, which clip', () => {
    expect(ddpmConfig({})).toEqual(DDPM_DEFAULTS);
    expect(ddpmConfig({ _class_name: 'DDPMScheduler' })).toEqual({ ...DDPM_DEFAULTS, clipSample: true });
  });

  it("reads its own settings, and a converted DiT's DDIM config", () => {
    const own = { variance_type: 'learned_range', clip_sample: false, timestep_spacing: 'trailing', steps_offset: 1 };
    expect(ddpmConfig(own)).toEqual({
      ...DDPM_DEFAULTS,
      varianceType: 'learned_range',
      timestepSpacing: 'trailing',
      stepsOffset: 1,
    });
    expect(ddpmConfig(readDDIMReference().config)).toEqual(DDPM_DEFAULTS);
    expect(ddpmConfig({ variance_type: null }).varianceType).toBe('fixed_small');
  });

  it.each([
    ['variance_type', 'learned'],
    ['variance_type', 'fixed_small_log'],
    ['thresholding', true],
  ])('names a setting that is not supported: %s = %p', (name, value) => {
    expect(() => ddpmConfig({ [name]: value })).toThrow(new RegExp(`scheduler_config.json: [^]*${name}`));
  });
});

describe('dpmSolverConfig', () => {
  it('an empty record and missing keys give the class defaults of diffusers', () => {
    expect(dpmSolverConfig({})).toEqual(DPM_SOLVER_DEFAULTS);
    expect(dpmSolverConfig({ _class_name: 'DPMSolverMultistepScheduler' })).toEqual(DPM_SOLVER_DEFAULTS);
  });

  it('reads every setting', () => {
    const json = {
      solver_order: 1,
      solver_type: 'heun',
      lower_order_final: false,
      euler_at_final: true,
      final_sigmas_type: 'sigma_min',
      timestep_spacing: 'leading',
      steps_offset: 1,
      prediction_type: 'v_prediction',
      variance_type: 'learned_range',
      lambda_min_clipped: Number.NEGATIVE_INFINITY,
    };
    expect(dpmSolverConfig(json)).toEqual({
      ...DPM_SOLVER_DEFAULTS,
      solverOrder: 1,
      solverType: 'heun',
      lowerOrderFinal: false,
      eulerAtFinal: true,
      finalSigmasType: 'sigma_min',
      timestepSpacing: 'leading',
      stepsOffset: 1,
      predictionType: 'v_prediction',
    });
    expect(dpmSolverConfig({ lambda_min_clipped: null })).toEqual(DPM_SOLVER_DEFAULTS);
  });

  it("reads PixArt's file as diffusers saves it, −∞ and all", () => {
    const file = join(__dirname, '../fixtures/pixart-scheduler/scheduler_config.json');
    const json = parseLenientJson(file, readFileSync(file, 'utf8'));
    expect(json).toMatchObject({ lambda_min_clipped: Number.NEGATIVE_INFINITY, timestep_spacing: 'linspace' });
    expect(dpmSolverConfig(json as Record<string, unknown>)).toEqual(DPM_SOLVER_DEFAULTS);
    // and once it went through JSON
    expect(dpmSolverConfig(JSON.parse(JSON.stringify(json)) as Record<string, unknown>)).toEqual(DPM_SOLVER_DEFAULTS);
  });

  it("keeps the spacing that a DDIM config names, as diffusers' from_config does", () => {
    expect(dpmSolverConfig(readDDIMReference().config).timestepSpacing).toBe('leading');
  });

  it.each([
    ['solver_order', 3],
    ['algorithm_type', 'sde-dpmsolver++'],
    ['solver_type', 'bh3'],
    ['use_karras_sigmas', true],
    ['use_flow_sigmas', true],
    ['lambda_min_clipped', -5.1],
    ['prediction_type', 'flow_prediction'],
  ])('names a setting that is not supported: %s = %p', (name, value) => {
    expect(() => dpmSolverConfig({ [name]: value })).toThrow(CheckpointError);
    expect(() => dpmSolverConfig({ [name]: value })).toThrow(new RegExp(`scheduler_config.json: [^]*${name}`));
  });
});

describe('unipcConfig and deisConfig', () => {
  it('an empty record and missing keys give the class defaults of diffusers', () => {
    for (const json of [{}, { _class_name: 'any' }]) {
      expect(unipcConfig(json)).toEqual(UNIPC_DEFAULTS);
      expect(deisConfig(json)).toEqual(DEIS_DEFAULTS);
    }
  });

  it('read every setting', () => {
    const shared = {
      solver_order: 3,
      lower_order_final: false,
      timestep_spacing: 'trailing',
      steps_offset: 1,
      prediction_type: 'v_prediction',
    };
    const read = {
      ...{ solverOrder: 3, lowerOrderFinal: false, timestepSpacing: 'trailing', stepsOffset: 1 },
      predictionType: 'v_prediction',
    };
    const own = {
      predict_x0: false,
      solver_type: 'bh1',
      disable_corrector: [0, 1],
      final_sigmas_type: 'sigma_min',
      solver_p: null,
    };
    expect(unipcConfig({ ...shared, ...own })).toEqual({
      ...LINEAR_SCHEDULE,
      ...read,
      predictX0: false,
      solverType: 'bh1',
      disableCorrector: [0, 1],
      finalSigmasType: 'sigma_min',
    });
    const logRho = { algorithm_type: 'deis', solver_type: 'logrho' };
    expect(deisConfig({ ...shared, ...logRho })).toEqual({ ...LINEAR_SCHEDULE, ...read });
  });

  it("read each other's files as diffusers' from_config does: an own default for the other's solver type", () => {
    const file = join(__dirname, '../fixtures/pixart-scheduler/scheduler_config.json');
    const json = parseLenientJson(file, readFileSync(file, 'utf8')) as Record<string, unknown>;
    expect(json).toMatchObject({ solver_type: 'midpoint', algorithm_type: 'dpmsolver++' });
    expect([unipcConfig(json), deisConfig(json)]).toEqual([UNIPC_DEFAULTS, DEIS_DEFAULTS]);
    for (const solver_type of ['bh1', 'bh2', 'logrho']) {
      const read = dpmSolverConfig({ solver_type, algorithm_type: 'deis' });
      expect(read).toEqual(DPM_SOLVER_DEFAULTS);
    }
  });

  const shared: [string, unknown][] = [
    ['solver_order', 4],
    ['solver_type', 'bh3'],
    ['thresholding', true],
    ['use_karras_sigmas', true],
    ['use_exponential_sigmas', true],
    ['use_beta_sigmas', true],
    ['use_flow_sigmas', true],
    ['prediction_type', 'flow_prediction'],
    ['rescale_betas_zero_snr', true],
  ];
  it.each([
    ...shared.map((setting) => [unipcConfig, ...setting] as const),
    ...shared.map((setting) => [deisConfig, ...setting] as const),
    [unipcConfig, 'disable_corrector', [-1]] as const,
    [unipcConfig, 'solver_p', { _class_name: 'DDIMScheduler' }] as const,
    [unipcConfig, 'lower_order_final', false] as const,
    [deisConfig, 'algorithm_type', 'sde-dpmsolver++'] as const,
  ])('%p names a setting that is not supported: %s = %p', (config, name, value) => {
    expect(() => config({ [name]: value })).toThrow(CheckpointError);
    expect(() => config({ [name]: value })).toThrow(new RegExp(`scheduler_config.json: [^]*${name}`));
  });

  it('UniPC takes high orders to the end where that is no σ of 0, and order 1 anywhere', () => {
    expect(unipcConfig({ lower_order_final: false, final_sigmas_type: 'sigma_min' }).lowerOrderFinal).toBe(false);
    expect(unipcConfig({ lower_order_final: false, solver_order: 1 }).solverOrder).toBe(1);
  });
});

describe('lcmConfig', () => {
  it("an empty record has PixArt's betas, missing keys take the class's own, which are Stable Diffusion's", () => {
    expect(lcmConfig({})).toEqual(LCM_DEFAULTS);
    expect(lcmConfig({ _class_name: 'LCMScheduler' })).toEqual({
      ...LCM_DEFAULTS,
      betaStart: 0.00085,
      betaEnd: 0.012,
      betaSchedule: 'scaled_linear',
    });
  });

  it('reads every setting', () => {
    const json = {
      beta_start: 1e-4,
      beta_end: 0.02,
      beta_schedule: 'linear',
      clip_sample: true,
      clip_sample_range: 2,
      prediction_type: 'v_prediction',
      original_inference_steps: 100,
      timestep_scaling: 5,
      timestep_spacing: 'leading',
    };
    expect(lcmConfig(json)).toEqual({
      ...LINEAR_SCHEDULE,
      clipSample: true,
      clipSampleRange: 2,
      predictionType: 'v_prediction',
      originalInferenceSteps: 100,
      timestepScaling: 5,
    });
  });

  it.each([
    ['original_inference_steps', 1001],
    ['original_inference_steps', 0],
    ['timestep_scaling', 0],
    ['rescale_betas_zero_snr', true],
    ['beta_schedule', 'squaredcos_cap_v2'],
  ])('names a setting that is not supported: %s = %p', (name, value) => {
    expect(() => lcmConfig({ [name]: value })).toThrow(CheckpointError);
    expect(() => lcmConfig({ [name]: value })).toThrow(new RegExp(`scheduler_config.json: [^]*${name}`));
  });
});

describe('noiseSchedule', () => {
  it('is the linear one, or what the record says', () => {
    expect(noiseSchedule({})).toEqual(LINEAR_SCHEDULE);
    expect(noiseSchedule({ beta_end: 0.01, clip_sample: true })).toEqual({ ...LINEAR_SCHEDULE, betaEnd: 0.01 });
    expect(() => noiseSchedule({ trained_betas: [0.1] })).toThrow(CheckpointError);
  });
});

describe('clipping where a record says nothing of it', () => {
  const clips = (json: SchedulerRecord) => [ddimConfig(json).clipSample, ddpmConfig(json).clipSample];

  it("is diffusers' default for its DDIM and DDPM, and none for records of solvers that have none", () => {
    expect(clips({ _class_name: 'DDIMScheduler' })).toEqual([true, true]);
    expect(clips({ _class_name: 'DDPMScheduler' })).toEqual([true, true]);
    expect(clips({ _class_name: 'DPMSolverMultistepScheduler' })).toEqual([false, false]);
    expect(clips({ _class_name: 'UniPCMultistepScheduler', clip_sample: true })).toEqual([true, true]);
  });
});
