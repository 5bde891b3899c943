import * as z from 'zod';
import { CheckpointError } from '../errors.ts';
import { DDIM_DEFAULTS, type DDIMConfig } from './ddim.ts';
import { DDPM_DEFAULTS, type DDPMConfig } from './ddpm.ts';
import { DEIS_DEFAULTS, type DEISConfig } from './deis.ts';
import { DPM_SOLVER_DEFAULTS, type DPMSolverConfig } from './dpm-solver.ts';
import { LCM_DEFAULTS, type LCMConfig } from './lcm.ts';
import type { PredictionType } from './model-output.ts';
import type { NoiseSchedule } from './noise-schedule.ts';
import { UNIPC_DEFAULTS, type UniPCConfig } from './unipc.ts';

/** diffusers' scheduler_config.json, of whichever scheduler class. */
export type SchedulerRecord = Readonly<Record<string, unknown>>;

// Missing keys take the defaults of diffusers' classes, not those of DiT's folders.
const NOISE = {
  num_train_timesteps: z.number().int().positive().default(1000),
  beta_start: z.number().positive().default(1e-4),
  beta_end: z.number().positive().default(0.02),
  beta_schedule: z.enum(['linear', 'scaled_linear']).default('linear'),
  trained_betas: z.null().default(null),
  rescale_betas_zero_snr: z.literal(false).default(false),
};
const STEPPING = {
  ...NOISE,
  steps_offset: z.number().int().nonnegative().default(0),
  prediction_type: z.enum(['epsilon', 'v_prediction', 'sample']).default('epsilon'),
  thresholding: z.literal(false).default(false),
};
const CLIPPING = { clip_sample: z.boolean().default(true), clip_sample_range: z.number().positive().default(1) };
const SPACINGS = z.enum(['leading', 'linspace', 'trailing']);

const NOISE_SCHEMA = z.object(NOISE);
const PREDICTION_SCHEMA = z.object({ prediction_type: STEPPING.prediction_type });
const DDIM_SCHEMA = z.object({
  ...STEPPING,
  ...CLIPPING,
  set_alpha_to_one: z.boolean().default(true),
  timestep_spacing: SPACINGS.default('leading'),
});
const DDPM_SCHEMA = z.object({
  ...STEPPING,
  ...CLIPPING,
  // null is what DPMSolverMultistepScheduler writes
  variance_type: z.enum(['fixed_small', 'fixed_large', 'learned_range']).nullable().default('fixed_small'),
  timestep_spacing: SPACINGS.default('leading'),
});
const SOLVING = {
  ...STEPPING,
  timestep_spacing: SPACINGS.default('linspace'),
  lower_order_final: z.boolean().default(true),
  use_karras_sigmas: z.literal(false).default(false),
  use_exponential_sigmas: z.literal(false).default(false),
  use_beta_sigmas: z.literal(false).default(false),
  use_flow_sigmas: z.literal(false).default(false),
};
const SOLVER_ORDER = z.union([z.literal(1), z.literal(2), z.literal(3)]).default(2);
const FINAL_SIGMA = z.enum(['zero', 'sigma_min']).default('zero');
// each of diffusers' solvers takes the solver types of the others, and reads its own default in them
const SOLVER_TYPES = z.enum(['midpoint', 'heun', 'bh1', 'bh2', 'logrho']);
const DPM_SOLVER_SCHEMA = z.object({
  ...SOLVING,
  algorithm_type: z.enum(['dpmsolver++', 'deis']).default('dpmsolver++'),
  solver_order: z.union([z.literal(1), z.literal(2)]).default(2),
  solver_type: SOLVER_TYPES.default('midpoint').transform((type) => (type === 'heun' ? type : 'midpoint')),
  euler_at_final: z.boolean().default(false),
  final_sigmas_type: FINAL_SIGMA,
  // −∞, or null where it went through JSON
  lambda_min_clipped: z.custom<number>((v) => v === Number.NEGATIVE_INFINITY, 'expected −∞').nullish(),
  use_lu_lambdas: z.literal(false).default(false),
});
const UNIPC_SCHEMA = z
  .object({
    ...SOLVING,
    solver_order: SOLVER_ORDER,
    solver_type: SOLVER_TYPES.default('bh2').transform((type) => (type === 'bh1' ? type : 'bh2')),
    predict_x0: z.boolean().default(true),
    disable_corrector: z.array(z.number().int().nonnegative()).default([]),
    final_sigmas_type: FINAL_SIGMA,
    solver_p: z.null().default(null),
  })
  .refine((c) => c.lower_order_final || c.solver_order === 1 || c.final_sigmas_type === 'sigma_min', {
    path: ['lower_order_final'],
    error: 'expected true where final_sigmas_type is zero: only a step of order 1 ends there',
  });
const DEIS_SCHEMA = z.object({
  ...SOLVING,
  algorithm_type: z.enum(['deis', 'dpmsolver', 'dpmsolver++']).default('deis'),
  solver_order: SOLVER_ORDER,
  solver_type: SOLVER_TYPES.default('logrho'),
});

const LCM_SCHEMA = z
  .object({
    ...STEPPING,
    ...CLIPPING,
    beta_start: NOISE.beta_start.default(0.00085),
    beta_end: NOISE.beta_end.default(0.012),
    beta_schedule: NOISE.beta_schedule.default('scaled_linear'),
    clip_sample: z.boolean().default(false),
    original_inference_steps: z.number().int().positive().default(50),
    timestep_scaling: z.number().positive().default(10),
  })
  .refine((c) => c.original_inference_steps <= c.num_train_timesteps, {
    path: ['original_inference_steps'],
    error: 'expected at most num_train_timesteps',
  });

/**
 * Settings for DDIM out of a scheduler_config.json. Unknown keys are ignored; an empty record gives DDIM_DEFAULTS.
 * @throws CheckpointError naming a setting that is not supported. So do the others.
 */
export function ddimConfig(json: SchedulerRecord): DDIMConfig {
  if (isEmpty(json)) return DDIM_DEFAULTS;
  const c = parsed(DDIM_SCHEMA, withOwnClipping(json));
  return { ...stepping(c), ...clipping(c), setAlphaToOne: c.set_alpha_to_one, timestepSpacing: c.timestep_spacing };
}

/** Settings for DDPM; an empty record gives DDPM_DEFAULTS. */
export function ddpmConfig(json: SchedulerRecord): DDPMConfig {
  if (isEmpty(json)) return DDPM_DEFAULTS;
  const c = parsed(DDPM_SCHEMA, withOwnClipping(json));
  return {
    ...stepping(c),
    ...clipping(c),
    timestepSpacing: c.timestep_spacing,
    varianceType: c.variance_type ?? 'fixed_small',
  };
}

/** Settings for DPM-Solver++; an empty record gives DPM_SOLVER_DEFAULTS. */
export function dpmSolverConfig(json: SchedulerRecord): DPMSolverConfig {
  if (isEmpty(json)) return DPM_SOLVER_DEFAULTS;
  const c = parsed(DPM_SOLVER_SCHEMA, json);
  return {
    ...stepping(c),
    timestepSpacing: c.timestep_spacing,
    solverOrder: c.solver_order,
    solverType: c.solver_type,
    lowerOrderFinal: c.lower_order_final,
    eulerAtFinal: c.euler_at_final,
    finalSigmasType: c.final_sigmas_type,
  };
}

/** Settings for UniPC; an empty record gives UNIPC_DEFAULTS. */
export function unipcConfig(json: SchedulerRecord): UniPCConfig {
  if (isEmpty(json)) return UNIPC_DEFAULTS;
  const c = parsed(UNIPC_SCHEMA, json);
  return {
    ...stepping(c),
    timestepSpacing: c.timestep_spacing,
    solverOrder: c.solver_order,
    predictX0: c.predict_x0,
    solverType: c.solver_type,
    lowerOrderFinal: c.lower_order_final,
    disableCorrector: c.disable_corrector,
    finalSigmasType: c.final_sigmas_type,
  };
}

/** Settings for DEIS, which knows one solver type; an empty record gives DEIS_DEFAULTS. */
export function deisConfig(json: SchedulerRecord): DEISConfig {
  if (isEmpty(json)) return DEIS_DEFAULTS;
  const c = parsed(DEIS_SCHEMA, json);
  return {
    ...stepping(c),
    timestepSpacing: c.timestep_spacing,
    solverOrder: c.solver_order,
    lowerOrderFinal: c.lower_order_final,
  };
}

/** Settings for LCM; an empty record gives LCM_DEFAULTS. */
export function lcmConfig(json: SchedulerRecord): LCMConfig {
  if (isEmpty(json)) return LCM_DEFAULTS;
  const c = parsed(LCM_SCHEMA, json);
  return {
    ...noise(c),
    ...clipping(c),
    predictionType: c.prediction_type,
    originalInferenceSteps: c.original_inference_steps,
    timestepScaling: c.timestep_scaling,
  };
}

/** The betas alone, for the original DiT's samplers; an empty record gives LINEAR_SCHEDULE. */
export function noiseSchedule(json: SchedulerRecord): NoiseSchedule {
  return noise(parsed(NOISE_SCHEMA, json));
}

/** What the model's output stands for; ε for an empty record. */
export function predictionType(json: SchedulerRecord): PredictionType {
  return parsed(PREDICTION_SCHEMA, json).prediction_type;
}

function isEmpty(json: SchedulerRecord): boolean {
  return Object.keys(json).length === 0;
}

function parsed<T>(schema: z.ZodType<T>, json: SchedulerRecord): T {
  const result = schema.safeParse(json);
  if (!result.success) throw new CheckpointError(`scheduler_config.json: ${z.prettifyError(result.error)}`);
  return result.data;
}

function noise(c: z.infer<typeof NOISE_SCHEMA>): NoiseSchedule {
  return {
    numTrainTimesteps: c.num_train_timesteps,
    betaStart: c.beta_start,
    betaEnd: c.beta_end,
    betaSchedule: c.beta_schedule,
  };
}

function stepping(c: z.infer<z.ZodObject<typeof STEPPING>>) {
  return { ...noise(c), predictionType: c.prediction_type, stepsOffset: c.steps_offset };
}

/**
 * A record of a solver that knows no clipping, such as PixArt's, says nothing of it. diffusers' from_config then clips, the
 * default of its DDIM and DDPM classes, which were made for pixels; latents are larger, and lose their colours.
 */
function withOwnClipping(json: SchedulerRecord): SchedulerRecord {
  const { _class_name: name } = json;
  return typeof name !== 'string' || /^(DDIM|DDPM)/.test(name) ? json : { clip_sample: false, ...json };
}

function clipping(c: z.infer<z.ZodObject<typeof CLIPPING>>) {
  return { clipSample: c.clip_sample, clipSampleRange: c.clip_sample_range };
}
