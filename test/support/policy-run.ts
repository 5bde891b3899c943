import * as tf from '@tensorflow/tfjs-core';
import type { CachePolicy } from '../../src/cache/policy.ts';
import type { CacheCounts, RunCache } from '../../src/cache/run-cache.ts';
import type { BranchName } from '../../src/models/block.ts';
import { TorchGenerator } from '../../src/ops/randn.ts';
import type { Denoiser } from '../../src/pipelines/guidance.ts';
import { torchNoise } from '../../src/pipelines/noise.ts';
import { methodOfRun } from '../../src/pipelines/run-plan.ts';
import { sample } from '../../src/pipelines/sample.ts';
import { createSampler, type SamplerName } from '../../src/schedulers/samplers.ts';

/** A model that cache methods are tried on. */
export interface Subject {
  readonly depth: number;
  readonly branches: readonly BranchName[];
  /** Whether its weights are random numbers. */
  readonly isRandom?: boolean;
  /** Of one sample [H,W,C]. */
  readonly latentShape: readonly [number, number, number];
  /** Elements of the tokens of one row. */
  readonly tokensPerRow: number;
  /** The guided model for some samples, by number. */
  readonly denoiserOf: (samples: readonly number[]) => Denoiser;
}

export interface PolicyRunOptions {
  /** By number: each has its own noise and condition. Default [0, 1]. */
  readonly samples?: readonly number[];
  /** Default 6. */
  readonly steps?: number;
  /** Default ddim. */
  readonly sampler?: SamplerName;
}

export interface PolicyRun {
  /** Of each step [N,H,W,C], flat. */
  readonly latents: Float32Array[];
  readonly counts: CacheCounts;
}

/** Above 1: the rows of the model are two halves. */
const GUIDANCE = 4;

/** A whole sampling run under a method, or under none. Everything is freed, also when it fails. */
export async function runPolicy(
  subject: Subject,
  policy: CachePolicy | undefined,
  { samples = [0, 1], steps = 6, sampler: name = 'ddim' }: PolicyRunOptions = {},
): Promise<PolicyRun> {
  const { latentShape } = subject;
  const sampler = createSampler(name, { numInferenceSteps: steps });
  const cache = startedCache(subject, policy, name, sampler.timesteps, GUIDANCE);
  const latents: Float32Array[] = [];
  try {
    const done = await sample({
      noise: noiseOf(samples, latentShape),
      sampler,
      stepNoise: torchNoise([...samples], samples.length),
      denoise: subject.denoiserOf(samples),
      cache,
      onStep: async (event) => void latents.push((await event.latents.data()) as Float32Array),
    });
    done.latents.dispose();
    return { latents, counts: cache.counts };
  } finally {
    cache.dispose();
    sampler.dispose();
  }
}

/** The state of a run, as the pipelines start it. */
export function startedCache(
  { depth, branches }: Pick<Subject, 'depth' | 'branches'>,
  policy: CachePolicy | undefined,
  sampler: SamplerName,
  timesteps: readonly number[],
  guidanceScale = 1,
): RunCache {
  const defaults = { numInferenceSteps: timesteps.length, guidanceScale };
  const steps = { numInferenceSteps: timesteps.length };
  const filled = { steps, sampler, guidanceScale, cache: policy };
  return methodOfRun({ depth, branches, scheduler: {}, defaults }, filled, timesteps).start();
}

function noiseOf(samples: readonly number[], shape: Subject['latentShape']): tf.Tensor4D {
  const size = shape[0] * shape[1] * shape[2];
  const values = samples.flatMap((sample) => [...new TorchGenerator(100 + sample).randn(size)]);
  return tf.tensor4d(values, [samples.length, ...shape]);
}
