import * as tf from '@tensorflow/tfjs-core';
import { type CacheCounts, CachedBlocks } from '../cache/cached-blocks.ts';
import { planCost } from '../cache/cost.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import { CheckpointError } from '../errors.ts';
import type { AutoencoderKLConfig } from '../models/autoencoder-config.ts';
import type { AutoencoderKL } from '../models/autoencoder-kl.ts';
import type { ModelCost, Numerics } from '../models/dit-config.ts';
import { decodeEach } from './decode.ts';
import type { Denoiser } from './guidance.ts';
import type { RunDescription, RunTimes } from './report.ts';
import type { CheckedRun, RunOptions, RunSetting } from './run-options.ts';
import { sample } from './sample.ts';
import { settingWarnings } from './warnings.ts';

export interface Painted {
  /** Decoded floats [H,W,3], nominally in [−1,1]. */
  readonly images: readonly tf.Tensor3D[];
  readonly counts: CacheCounts;
  readonly times: RunTimes;
}

/** Noise to pictures: all steps under the run's plan, then the decoder. Frees the run, also when it fails. */
export async function paint(
  run: CheckedRun,
  { runBlocks, onStep, onBlockDelta, signal }: RunOptions,
  { scheduler, denoise, vae }: Pick<RunSetting, 'scheduler'> & { denoise: Denoiser; vae: AutoencoderKL },
): Promise<Painted> {
  const { sampler, stepNoise, plan } = run;
  const cache = new CachedBlocks(plan);
  try {
    const loop = { sampler, scheduler, stepNoise, denoise, plan, cache };
    const hooks = { runBlocks, onStep, onBlockDelta, signal };
    const { latents, stepSeconds } = await sample({ noise: run.noise(), ...loop, ...hooks });
    const { images, decodeSeconds } = await decodeEach(vae, latents, signal);
    const samplingSeconds = stepSeconds.reduce((sum, s) => sum + s, 0);
    return { images, counts: cache.counts, times: { stepSeconds, samplingSeconds, decodeSeconds } };
  } finally {
    cache.dispose();
    sampler.dispose();
  }
}

/** What a run will do, for its report. */
export function describeRun(
  run: CheckedRun,
  { cost, ...loaded }: { model: string; numerics: Numerics; dtype: WeightDtype; cost: ModelCost },
): RunDescription {
  const { samplerName, sampler, eta, guidanceScale, seeds, cache, plan, ownRunner } = run;
  return {
    ...loaded,
    backend: tf.getBackend(),
    sampler: samplerName,
    eta,
    timesteps: sampler.timesteps,
    guidanceScale,
    seeds,
    cache,
    plan: ownRunner ? null : plan,
    macs: ownRunner ? null : planCost(plan, cost),
    warnings: settingWarnings(cache, plan, samplerName, eta),
  };
}

/** @throws CheckpointError when an autoencoder cannot make pictures of a model's latents. */
export function checkAutoencoder(
  name: string,
  inChannels: number,
  { latentChannels, outChannels }: AutoencoderKLConfig,
): void {
  if (outChannels !== 3) {
    throw new CheckpointError(`${name}: the autoencoder gives ${outChannels} channels; only RGB ones make pictures`);
  }
  if (latentChannels !== inChannels) {
    throw new CheckpointError(
      `${name}: the model works on ${inChannels} latent channels and the autoencoder on ${latentChannels}; give the autoencoder that it was trained with`,
    );
  }
}
