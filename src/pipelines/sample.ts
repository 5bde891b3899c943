import * as tf from '@tensorflow/tfjs-core';
import { type BlockDelta, reportDeltas } from '../cache/record-deltas.ts';
import type { RunCache } from '../cache/run-cache.ts';
import { readTensor } from '../device.ts';
import { AbortError, NumericsError } from '../errors.ts';
import type { BlockRunner } from '../models/block.ts';
import type { ModelOutput, NoiseSource, Sampler, Timestep } from '../schedulers/sampler.ts';
import type { SchedulerRecord } from '../schedulers/scheduler-config.ts';
import { type CleanLatents, cleanLatents } from './clean-latents.ts';
import type { Denoiser } from './guidance.ts';

/** What a caller hears of after each step. Tensors are borrowed for the call. */
export interface StepEvent {
  /** 0… from noise. */
  readonly step: number;
  readonly numInferenceSteps: number;
  /** 999 → 0. */
  readonly timestep: number;
  /** Latents after the step [N,H,W,C]. */
  readonly latents: tf.Tensor4D;
  /** The clean latents that the model saw in the step [N,H,W,C], fresh: what a preview shows. During the call only. */
  readonly xStart: () => tf.Tensor4D;
  /** Blocks that the step computed, on average over the rows; a branch counts for its share. All with `runBlocks`. */
  readonly blocks: number;
  /** Whether the step took anything from the cache. */
  readonly cached: boolean;
  /** Wall time of the step. */
  readonly seconds: number;
}

export interface SampleOptions {
  /** Noise [N,H,W,C], consumed. */
  readonly noise: tf.Tensor4D;
  readonly sampler: Sampler;
  /** The checkpoint's scheduler_config.json, for `xStart`. Empty, the default: DiT's own settings. */
  readonly scheduler?: SchedulerRecord | undefined;
  /** For samplers that add noise on the way. */
  readonly stepNoise: NoiseSource;
  readonly denoise: Denoiser;
  readonly cache: RunCache;
  /** Instead of the cache: the runner of each step. */
  readonly runBlocks?: ((step: number) => BlockRunner) | undefined;
  readonly onStep?: ((event: StepEvent) => void | Promise<void>) | undefined;
  readonly onBlockDelta?: ((event: BlockDelta & { readonly step: number }) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs all steps. @returns the final latents [N,H,W,C] and each step's wall time in seconds. */
export async function sample(options: SampleOptions): Promise<{ latents: tf.Tensor4D; stepSeconds: number[] }> {
  const { timesteps } = options.sampler;
  const clean = cleanLatents(options.scheduler ?? {});
  const stepSeconds: number[] = [];
  let x = options.noise;
  try {
    for (const step of timesteps.keys()) {
      checkAborted(options.signal, `before step ${step + 1} of ${timesteps.length}`);
      const { latents, seconds } = await oneStep(options, step, x, clean);
      x.dispose();
      x = latents;
      stepSeconds.push(seconds);
    }
    checkAborted(options.signal, 'after the last step');
    return { latents: x, stepSeconds };
  } catch (error) {
    x.dispose();
    throw error;
  }
}

/** @throws AbortError when the caller has asked to stop. */
export function checkAborted(signal: AbortSignal | undefined, when: string): void {
  if (signal?.aborted) throw new AbortError(`generation was stopped ${when}`);
}

/** A step, and the caller told of it. @param x latents before it, borrowed */
async function oneStep(
  options: SampleOptions,
  step: number,
  x: tf.Tensor4D,
  clean: CleanLatents,
): Promise<{ latents: tf.Tensor4D; seconds: number }> {
  const { sampler, stepNoise, cache, onStep } = options;
  const { timesteps } = sampler;
  const timestep = timesteps[step] ?? 0;
  const start = performance.now();
  const output = await modelOutput(options, step, x, timestep);
  let latents: tf.Tensor4D | undefined;
  try {
    latents = sampler.step(step, output, x, stepNoise);
    await checkFinite(latents, step, timestep);
    const seconds = (performance.now() - start) / 1000;
    await breathe();
    const blocks = cache.counts.stepBlocks[step] ?? cache.depth;
    const event = {
      step,
      numInferenceSteps: timesteps.length,
      timestep,
      blocks,
      cached: blocks < cache.depth,
      seconds,
    };
    await onStep?.({ ...event, latents, xStart: () => clean(output, x, timestep) });
    return { latents, seconds };
  } catch (error) {
    latents?.dispose();
    throw error;
  } finally {
    tf.dispose({ ...output });
  }
}

/** Of a step: computed, or under a cache whatever that gives. */
async function modelOutput(
  options: SampleOptions,
  step: number,
  x: tf.Tensor4D,
  timestep: Timestep,
): Promise<ModelOutput> {
  let variance: tf.Tensor4D | undefined;
  try {
    const eps = await options.cache.output(step, x, async (latents, rows) => {
      const output = await options.denoise(latents, timestep, runnerOf(options, step), rows);
      if (rows) output.variance?.dispose();
      else variance = output.variance;
      return output.eps;
    });
    return { eps, variance };
  } catch (error) {
    variance?.dispose();
    throw error;
  }
}

function runnerOf({ cache, runBlocks, onBlockDelta }: SampleOptions, step: number): BlockRunner {
  const runner = runBlocks ? runBlocks(step) : cache.atStep(step);
  return onBlockDelta ? reportDeltas(runner, (delta) => onBlockDelta({ ...delta, step })) : runner;
}

/**
 * A turn of the event loop: where a backend computes synchronously, signals and timers would wait for the last step. Node's
 * setImmediate is the turn alone; a timer of 0 waits a millisecond, which of a small model's step is some per cent.
 */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}

/** One reduction and one awaited read: 0·x is NaN where x is NaN or infinite. */
async function checkFinite(x: tf.Tensor4D, step: number, timestep: number): Promise<void> {
  const probe = tf.tidy(() => tf.sum(tf.mul(x, 0)));
  const [value] = await readTensor(probe).finally(() => probe.dispose());
  if (value !== 0) {
    throw new NumericsError(
      `latents stopped being finite at step ${step + 1} (timestep ${timestep}) on backend ${tf.getBackend()}; ` +
        'check the checkpoint for NaN with "delta-dit inspect", lower guidanceScale, or use another backend',
    );
  }
}
