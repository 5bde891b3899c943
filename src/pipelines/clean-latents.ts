import * as tf from '@tensorflow/tfjs-core';
import type { CleanMap } from '../cache/output-form.ts';
import { noiseLevel, predictXStart } from '../schedulers/model-output.ts';
import { alphasCumprod } from '../schedulers/noise-schedule.ts';
import type { ModelOutput, Timestep } from '../schedulers/sampler.ts';
import { noiseSchedule, predictionType, type SchedulerRecord } from '../schedulers/scheduler-config.ts';

/**
 * The clean latents x0 that a model's output at a timestep means [N,H,W,C], a fresh tensor. The same for every sampler:
 * all of them visit the noise levels that the model was trained on.
 */
export type CleanLatents = (output: ModelOutput, x: tf.Tensor4D, timestep: Timestep) => tf.Tensor4D;

/** @param scheduler a checkpoint's scheduler_config.json. Empty: DiT's own settings. */
export function cleanLatents(scheduler: SchedulerRecord): CleanLatents {
  const alphas = alphasCumprod(noiseSchedule(scheduler));
  const type = predictionType(scheduler);
  return ({ eps }, x, timestep) =>
    tf.tidy(() => tf.clone(predictXStart(type, eps, x, noiseLevel(alphas[timestep] ?? 1))));
}

/** The same as a sum of latents and output, at a timestep. */
export function cleanMap(scheduler: SchedulerRecord): (timestep: Timestep) => CleanMap {
  const alphas = alphasCumprod(noiseSchedule(scheduler));
  const type = predictionType(scheduler);
  return (timestep) => {
    const { signal, noise } = noiseLevel(alphas[timestep] ?? 1);
    if (type === 'sample') return { ofLatents: 0, ofOutput: 1 };
    if (type === 'epsilon') return { ofLatents: 1 / signal, ofOutput: -noise / signal };
    return { ofLatents: signal, ofOutput: -noise };
  };
}
