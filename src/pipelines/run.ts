import * as tf from '@tensorflow/tfjs-core';
import { countedCost, planCost } from '../cache/cost.ts';
import type { CacheCounts } from '../cache/run-cache.ts';
import { CheckpointError } from '../errors.ts';
import type { AutoencoderKLConfig } from '../models/autoencoder-config.ts';
import type { AutoencoderKL } from '../models/autoencoder-kl.ts';
import type { ModelCost } from '../models/dit-config.ts';
import { decodeEach } from './decode.ts';
import type { Denoiser } from './guidance.ts';
import type { RunDescription, RunTimes } from './report.ts';
import type { CheckedRun, RunOptions, RunSetting } from './run-options.ts';
import { sample } from './sample.ts';
import { decisionWarnings, settingWarnings } from './warnings.ts';

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
  const { sampler, stepNoise } = run;
  const cache = run.startCache();
  try {
    const loop = { sampler, scheduler, stepNoise, denoise, cache };
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

/** The model of a run, and what the run has done where it has been made. */
interface DescribedModel extends Pick<RunDescription, 'model' | 'numerics' | 'dtype'> {
  readonly cost: ModelCost;
  readonly counts?: CacheCounts | undefined;
}

/** What a run will do, or with `counts` has done, for its report. */
export function describeRun(run: CheckedRun, { cost, counts, ...loaded }: DescribedModel): RunDescription {
  const { samplerName, sampler, eta, guidanceScale, seeds, cache, plan, decidesAsItRuns } = run;
  const counted = decidesAsItRuns && counts ? countedCost(counts, cost) : null;
  return {
    ...loaded,
    backend: tf.getBackend(),
    sampler: samplerName,
    eta,
    timesteps: sampler.timesteps,
    guidanceScale,
    seeds,
    cache,
    plan,
    macs: plan ? planCost(plan, cost) : counted,
    warnings: [...settingWarnings(cache, plan, samplerName, eta), ...decisionWarnings(run, counts)],
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
