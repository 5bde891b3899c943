/** The public surface of delta-dit. Importing it starts nothing; a backend starts with the first pipeline. */
import type { AutoencoderSizes } from '../converters/autoencoder-configs.ts';
import { openAutoencoder } from '../converters/open-autoencoder.ts';
import { type OpenOptions, openDiT } from '../converters/open-dit.ts';
import { type OpenPixArtOptions, openPixArt } from '../converters/open-pixart.ts';
import { type BackendName, type BackendOptions, useBackend } from './backend/select.ts';
import { checkpointPath, checkpointPaths, type HubOptions } from './hub/checkpoint-path.ts';
import { AutoencoderKL, type AutoencoderKLOptions } from './models/autoencoder-kl.ts';
import type { Numerics } from './models/dit-config.ts';
import { DiTPipeline as Pipeline } from './pipelines/dit-pipeline.ts';
import { PixArtPipeline as TextPipeline } from './pipelines/pixart-pipeline.ts';

export interface FromPretrainedOptions extends OpenOptions, BackendOptions, HubOptions {
  /** Default: the backend that is running, else the first of tensorflow, wasm, cpu that is there. */
  readonly backend?: BackendName | undefined;
  /** Overrides the checkpoint's origin. */
  readonly numerics?: Numerics | undefined;
}

/** Class labels to pictures. */
export type DiTPipeline = Pipeline;

/** The class itself, with the way to open a checkpoint that starts a backend, too. */
export const DiTPipeline = Object.assign(Pipeline, {
  /**
   * Opens a converted folder, a diffusers folder, or a `.pt` / `.pth` / `.safetensors` file (with `vae`), and reads it
   * into the backend. Call `dispose()` on what it gives.
   * @param path also `owner/name` or `owner/name@revision` of a model on the Hugging Face hub, which is taken from the
   * cache of huggingface_hub, or downloaded into it; `vae` may be one, too
   * @throws FileError, FormatError, CheckpointError, HubError or BackendError saying what is wrong and what to do.
   */
  async fromPretrained(path: string, options: FromPretrainedOptions = {}): Promise<Pipeline> {
    await useBackend(options.backend, options);
    const found = await checkpointPaths(path, options);
    const checkpoint = await openDiT(found.path, found.options);
    try {
      return await Pipeline.fromCheckpoint(checkpoint, options.numerics);
    } finally {
      await checkpoint.close();
    }
  },
});

export interface PixArtFromPretrainedOptions extends OpenPixArtOptions, BackendOptions, HubOptions {
  /** Default: the backend that is running, else the first of tensorflow, wasm, cpu that is there. */
  readonly backend?: BackendName | undefined;
  /** Overrides the checkpoint's origin. */
  readonly numerics?: Numerics | undefined;
}

/** Prompts to pictures. */
export type PixArtPipeline = TextPipeline;

/** The class itself, with the way to open a checkpoint that starts a backend, too. */
export const PixArtPipeline = Object.assign(TextPipeline, {
  /**
   * Opens a converted folder, a diffusers folder of a PixArtAlphaPipeline, or a `.pth` / `.safetensors` file (with `vae`,
   * `textEncoder`, `tokenizer`), and reads it into the backend; a large text encoder stays on disk. Call `dispose()` on
   * what it gives.
   * @param path also a model on the hub, as `DiTPipeline.fromPretrained` takes it; `vae`, `textEncoder` and `tokenizer` may
   * be some, too
   * @throws FileError, FormatError, CheckpointError, HubError or BackendError saying what is wrong and what to do.
   */
  async fromPretrained(path: string, options: PixArtFromPretrainedOptions = {}): Promise<TextPipeline> {
    await useBackend(options.backend, options);
    const found = await checkpointPaths(path, options);
    const checkpoint = await openPixArt(found.path, found.options);
    try {
      return await TextPipeline.fromCheckpoint(checkpoint, options.numerics);
    } finally {
      await checkpoint.close();
    }
  },
});

export interface LoadAutoencoderOptions extends AutoencoderSizes, AutoencoderKLOptions, BackendOptions, HubOptions {
  /** Default: the backend that is running, else the first of tensorflow, wasm, cpu that is there. */
  readonly backend?: BackendName | undefined;
}

/**
 * An autoencoder without a diffusion model: a converted folder, a diffusers folder of an AutoencoderKL or one that has
 * `vae/`, or a single file, also of latent-diffusion and out of a Stable Diffusion file; read into the backend, its
 * encoder only with `encoder: true`. Call `dispose()` on what it gives.
 * @param path also a model on the hub, as `DiTPipeline.fromPretrained` takes it
 * @throws FileError, FormatError, CheckpointError, HubError or BackendError saying what is wrong and what to do.
 */
export async function loadAutoencoder(path: string, options: LoadAutoencoderOptions = {}): Promise<AutoencoderKL> {
  await useBackend(options.backend, options);
  const vae = await checkpointPath(path, { ...options, part: 'vae' });
  const opened = await openAutoencoder({ ...options, vae });
  try {
    return await AutoencoderKL.fromCheckpoint(opened, options);
  } finally {
    await opened.archive.close();
  }
}

export type { AutoencoderSizes } from '../converters/autoencoder-configs.ts';
export {
  type ConvertOptions,
  type ConvertProgress,
  type ConvertResult,
  convertCheckpoint,
  type StorageType,
} from '../converters/convert.ts';
export { type Inspected, inspectCheckpoint } from '../converters/inspect.ts';
export { type OpenedCheckpoint, openCheckpoint, type PipelineName, pipelineOf } from '../converters/open-checkpoint.ts';
export { type OpenOptions, openDiT } from '../converters/open-dit.ts';
export { type OpenPixArtOptions, openPixArt } from '../converters/open-pixart.ts';
export { openT5 } from '../converters/open-t5.ts';
export { type VerifyOptions, type VerifyProgress, type VerifyReport, verifyCheckpoint } from '../converters/verify.ts';
export {
  BACKEND_NAMES,
  type BackendName,
  type BackendOptions,
  type BackendReport,
  useBackend,
} from './backend/select.ts';
export { type BudgetStages, stagesOfBudget } from './cache/budget.ts';
export { type CacheCounts, CachedBlocks } from './cache/cached-blocks.ts';
export { type PlanCost, planCost } from './cache/cost.ts';
export {
  type CachePlan,
  type CachePolicy,
  countBlocks,
  drawPlan,
  type PlanSetting,
  type PlanStep,
  type Span,
  uncachedPlan,
} from './cache/plan.ts';
export { type DeltaDiTOptions, deltaDiT } from './cache/policies/delta-dit.ts';
export { deltaCache, featureCache, type Region, type SpanCacheOptions } from './cache/policies/span-cache.ts';
export { type BlockDelta, type RecordedBlock, recordDeltas, reportDeltas } from './cache/record-deltas.ts';
export { planDeltaDiT, planStages } from './cache/stage-planner.ts';
export type { ByteSource } from './checkpoint/byte-source.ts';
export type { StoredTensor, TensorArchive } from './checkpoint/stored-tensor.ts';
export { WeightScope, Weights } from './checkpoint/weights.ts';
export * from './errors.ts';
export { type DownloadOptions, downloadCheckpoint, type HubOptions } from './hub/checkpoint-path.ts';
export type { WantedPart } from './hub/needed-files.ts';
export type { DownloadProgress } from './hub/transfer-meter.ts';
export {
  type AnalysedPicture,
  type AnalyseOptions,
  analyseDeltas,
  type DeltaAnalysis,
  type SpanDeltas,
} from './lab/analyse.ts';
export { benchLatency, type LatencyOptions, type LatencyReport } from './lab/bench-latency.ts';
export { paperMethods, type SamplingMethod, uncachedSteps } from './lab/bench-methods.ts';
export type { LatencyPair, PairTimes } from './lab/bench-pairs.ts';
export type { BenchProgress } from './lab/bench-progress.ts';
export { benchQuality, type MethodPictures, type QualityOptions, type QualityReport } from './lab/bench-quality.ts';
export type { Distribution, Similarity, SimilaritySummary } from './lab/bench-similarity.ts';
export { deltaFigure } from './lab/delta-figure.ts';
export { type DeltaMeasures, DeltaMeter, type DeltaReading } from './lab/delta-meter.ts';
export { DELTA_MEASURES, type DeltaMeasure, type DeltaSeries, type DeltaStatistics } from './lab/delta-series.ts';
export type { BenchPicture, MethodQuality, PictureQuality } from './lab/method-tally.ts';
export { RANDOM_SIZE_NAMES, randomCheckpoint } from './lab/random-checkpoint.ts';
export { randomPainter } from './lab/random-painter.ts';
export type { Spread } from './lab/spread.ts';
export { countSubjects, type ReportedRun, type SubjectKind } from './lab/subjects.ts';
export { CrossAttention, SelfAttention } from './layers/attention.ts';
export { CaptionProjection } from './layers/caption-projection.ts';
export { Composite } from './layers/composite.ts';
export { Conv2d } from './layers/conv2d.ts';
export { LabelEmbedder, PatchEmbed, TimestepEmbedder } from './layers/embedders.ts';
export { GroupNorm } from './layers/group-norm.ts';
export type { BranchHooks } from './layers/hooks.ts';
export { Linear } from './layers/linear.ts';
export { Mlp } from './layers/mlp.ts';
export { ParameterLayer } from './layers/parameter-layer.ts';
export { RmsNorm } from './layers/rms-norm.ts';
export { ScaleShiftTable } from './layers/scale-shift-table.ts';
export { HIGH_FREQUENCY_CUTOFF, highFrequencyError } from './metrics/high-frequency.ts';
export { psnr } from './metrics/psnr.ts';
export { sobelMeanGradient } from './metrics/sobel.ts';
export { ssim } from './metrics/ssim.ts';
export type { AutoencoderKLCheckpoint, AutoencoderKLConfig } from './models/autoencoder-config.ts';
export {
  AutoencoderKL,
  type AutoencoderKLOptions,
  DECODE_TILE_BUDGET,
  type LatentMoments,
  type TiledDecodeOptions,
} from './models/autoencoder-kl.ts';
export {
  type Block,
  type BlockRunner,
  type Branch,
  type BranchName,
  type Modulation,
  runAllBlocks,
  runBlock,
} from './models/block.ts';
export { DiT, DiTBlock, type DiTConditioning, FinalLayer } from './models/dit.ts';
export type { DiTCheckpoint } from './models/dit-checkpoint.ts';
export { DIT_SIZES, type DiTConfig, ditCost, type ModelCost, type Numerics } from './models/dit-config.ts';
export {
  autoencoderMemory,
  decoderMemory,
  ditMemory,
  type ModelMemory,
  type PixArtMemorySetting,
  peakBytes,
  pixArtMemory,
} from './models/memory.ts';
export { type MicroConditions, PixArt } from './models/pixart.ts';
export {
  PixArtBlock,
  type PixArtCaption,
  type PixArtConditioning,
  type PixArtModulation,
  T2IFinalLayer,
} from './models/pixart-block.ts';
export type { PixArtCheckpoint } from './models/pixart-checkpoint.ts';
export {
  PIXART_CAPTION_LENGTH,
  PIXART_XL_2,
  type PixArtConfig,
  type PixArtCost,
  pixArtCost,
} from './models/pixart-config.ts';
export type { T5Checkpoint } from './models/t5-checkpoint.ts';
export { T5_XXL, type T5EncoderConfig } from './models/t5-config.ts';
export { T5Encoder } from './models/t5-encoder.ts';
export type { CaptionEncoder, CaptionOptions, LayerProgress, PromptTokens } from './models/t5-forward.ts';
export { t5Memory } from './models/t5-memory.ts';
export { StreamedT5Encoder } from './models/t5-streamed.ts';
export { TorchGenerator } from './ops/randn.ts';
export { checkpointMemory, type MemoryRequest } from './pipelines/checkpoint-memory.ts';
export { DIT_DEFAULTS, type DiTGenerateOptions, type DiTResult } from './pipelines/dit-pipeline.ts';
export { fromPixels, type PixelImage, toPixels } from './pipelines/image.ts';
export {
  classPainter,
  type Painter,
  type PaintOptions,
  type PromptSettings,
  promptPainter,
} from './pipelines/painter.ts';
export { PIXART_DEFAULTS, type PixArtGenerateOptions, type PixArtResult } from './pipelines/pixart-pipeline.ts';
export {
  type EncoderIdentity,
  type PromptEmbeds,
  type PromptTexts,
  readPromptEmbeds,
  readPromptTexts,
  type StoredPrompts,
  serialisePromptEmbeds,
} from './pipelines/prompt-embeds.ts';
export type { EncodedPrompts, EncodeOptions } from './pipelines/prompt-encoder.ts';
export type {
  DiTRunDescription,
  GenerationReport,
  PixArtReport,
  PixArtRunDescription,
  RunDescription,
} from './pipelines/report.ts';
export type { StepEvent } from './pipelines/sample.ts';
export { DDIM_DEFAULTS, type DDIMConfig, DDIMSampler } from './schedulers/ddim.ts';
export { OriginalDDIMSampler } from './schedulers/ddim-original.ts';
export { DDPM_DEFAULTS, type DDPMConfig, DDPMSampler } from './schedulers/ddpm.ts';
export { OriginalDDPMSampler } from './schedulers/ddpm-original.ts';
export { DPM_SOLVER_DEFAULTS, type DPMSolverConfig, DPMSolverSampler } from './schedulers/dpm-solver.ts';
export { LCM_DEFAULTS, type LCMConfig, LCMSampler } from './schedulers/lcm.ts';
export type { NoiseSchedule } from './schedulers/noise-schedule.ts';
export type { ModelOutput, NoiseSource, Sampler } from './schedulers/sampler.ts';
export { createSampler, SAMPLER_NAMES, type SamplerName, type SamplerOptions } from './schedulers/samplers.ts';
export { cleanPrompt, preparePrompt } from './tokenizers/clean-prompt.ts';
export { MAX_PROMPT_LENGTH } from './tokenizers/prompt-length.ts';
export { type EncodedPrompt, type EncodePromptOptions, T5Tokenizer } from './tokenizers/t5-tokenizer.ts';
