import type { PlanCost } from '../cache/cost.ts';
import type { CachePlan } from '../cache/plan.ts';
import type { CacheCounts } from '../cache/run-cache.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { Numerics } from '../models/dit-config.ts';
import type { SamplerName } from '../schedulers/samplers.ts';

/** Wall time in seconds. */
export interface RunTimes {
  readonly stepSeconds: readonly number[];
  readonly samplingSeconds: number;
  readonly decodeSeconds: number;
}

/** What a run does, known before its first step. MACs are of the blocks for one sample and guidance half. */
export interface RunDescription {
  /** The checkpoint. */
  readonly model: string;
  readonly backend: string;
  readonly numerics: Numerics;
  /** Of the weights in memory. */
  readonly dtype: WeightDtype;
  readonly sampler: SamplerName;
  /** η of a DDIM. */
  readonly eta: number;
  readonly timesteps: readonly number[];
  readonly guidanceScale: number;
  /** Empty where latents were given and no step drew noise. */
  readonly seeds: readonly number[];
  /** The cache method's name; null without one. */
  readonly cache: string | null;
  /**
   * Null under a cache method that decides as it runs, and with `runBlocks`: only a runner of your own knows what it
   * does, and the counts of the report stay 0.
   */
  readonly plan: CachePlan | null;
  readonly macs: PlanCost | null;
  /** Settings that work but disappoint together, each with its reason. */
  readonly warnings: readonly string[];
}

export interface DiTRunDescription extends RunDescription {
  readonly classLabels: readonly number[];
}

/** What a run of a DiT did and cost. */
export interface GenerationReport extends DiTRunDescription, CacheCounts, RunTimes {}

/** What a PixArt was asked for. */
export interface PixArtRunDescription extends RunDescription {
  /** As they were encoded, after cleaning. */
  readonly prompts: readonly string[];
  readonly negativePrompts: readonly string[];
  /** Of each prompt the end that the text encoder did not see, or null. */
  readonly truncated: readonly (string | null)[];
  /** Of the finished pictures, in pixels. */
  readonly width: number;
  readonly height: number;
  /** What the model painted before it was resized and cropped: the nearest size that it was trained on. */
  readonly paintedWidth: number;
  readonly paintedHeight: number;
}

/** What a run of a PixArt did and cost. */
export interface PixArtReport extends PixArtRunDescription, CacheCounts, RunTimes {
  /** Wall time of the text encoder; 0 where encoded prompts were given. */
  readonly encodeSeconds: number;
}
