import { z } from 'zod';
import { CheckpointError } from '../errors.ts';
import { DDIM_DEFAULTS, type DDIMConfig } from './ddim.ts';

// Missing keys take the defaults of diffusers' DDIMScheduler class, not those of DiT's folders.
const DDIM_SCHEMA = z.object({
  _class_name: z.literal('DDIMScheduler', 'only DDIMScheduler is read').default('DDIMScheduler'),
  num_train_timesteps: z.number().int().positive().default(1000),
  beta_start: z.number().positive().default(1e-4),
  beta_end: z.number().positive().default(0.02),
  beta_schedule: z.enum(['linear', 'scaled_linear']).default('linear'),
  trained_betas: z.null().default(null),
  clip_sample: z.boolean().default(true),
  clip_sample_range: z.number().positive().default(1),
  set_alpha_to_one: z.boolean().default(true),
  steps_offset: z.number().int().nonnegative().default(0),
  prediction_type: z.enum(['epsilon', 'v_prediction', 'sample']).default('epsilon'),
  thresholding: z.literal(false).default(false),
  timestep_spacing: z.enum(['leading', 'linspace', 'trailing']).default('leading'),
  rescale_betas_zero_snr: z.literal(false).default(false),
});

/**
 * diffusers' scheduler_config.json as DDIM settings. Unknown keys are ignored; an empty record gives DDIM_DEFAULTS.
 * @throws CheckpointError naming a setting that is not supported.
 */
export function ddimConfig(json: Readonly<Record<string, unknown>>): DDIMConfig {
  if (Object.keys(json).length === 0) return DDIM_DEFAULTS;
  const parsed = DDIM_SCHEMA.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`scheduler_config.json: ${z.prettifyError(parsed.error)}`);
  const c = parsed.data;
  return {
    numTrainTimesteps: c.num_train_timesteps,
    betaStart: c.beta_start,
    betaEnd: c.beta_end,
    betaSchedule: c.beta_schedule,
    clipSample: c.clip_sample,
    clipSampleRange: c.clip_sample_range,
    setAlphaToOne: c.set_alpha_to_one,
    stepsOffset: c.steps_offset,
    predictionType: c.prediction_type,
    timestepSpacing: c.timestep_spacing,
  };
}
