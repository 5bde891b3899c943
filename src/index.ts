/** The public surface of delta-dit. Importing it starts nothing; a backend starts with the first pipeline. */
import type { AutoencoderSizes } from '../converters/autoencoder-configs.ts';
import { openAutoencoder } from '../converters/open-autoencoder.ts';
import { openClassifier } from '../converters/open-classifier.ts';
import { type OpenOptions, openDiT } from '../converters/open-dit.ts';
import { type OpenPixArtOptions, openPixArt } from '../converters/open-pixart.ts';
import { type BackendName, type BackendOptions, useBackend } from './backend/select.ts';
import type { CheckpointLocation } from './checkpoint/location.ts';
import { checkpointLocation, checkpointLocations } from './hub/checkpoint-location.ts';
import type { HubOptions } from './hub/checkpoint-path.ts';
import { FeatureExtractor } from './metrics/feature-extractor.ts';
import { AutoencoderKL, type AutoencoderKLOptions } from './models/autoencoder-kl.ts';
import { DiTPipeline as Pipeline } from './pipelines/dit-pipeline.ts';
import type { LoadOptions } from './pipelines/load-options.ts';
import { PixArtPipeline as TextPipeline } from './pipelines/pixart-pipeline.ts';

export interface FromPretrainedOptions extends OpenOptions, LoadOptions, BackendOptions, HubOptions {
  /** Default: the backend that is running, else the first that is there, as `useBackend` says. */
  readonly backend?: BackendName | undefined;
}

/** Class labels to pictures. */
export type DiTPipeline = Pipeline;

/** The class itself, with the way to open a checkpoint that starts a backend, too. */
export const DiTPipeline = Object.assign(Pipeline, {
  /**
   * Opens a converted folder, a diffusers folder, or a `.pt` / `.pth` / `.safetensors` file (with `vae`), and reads it
   * into the backend. Call `dispose()` on what it gives.
   * @param location a path, or the URL of a converted folder, or `owner/name` or `owner/name@revision` of a model on the
   * Hugging Face hub: in Node of the cache of huggingface_hub, or downloaded into it. What comes from a URL, and in a
   * browser all, is kept in `store`. `vae` may be one, too
   * @throws FileError, FormatError, CheckpointError, HubError, BackendError or DeviceError saying what is wrong and what to do.
   */
  async fromPretrained(location: CheckpointLocation, options: FromPretrainedOptions = {}): Promise<Pipeline> {
    await useBackend(options.backend, options);
    const { found, options: foundToo } = await checkpointLocations(location, options);
    const checkpoint = await openDiT(found, foundToo);
    try {
      return await Pipeline.fromCheckpoint(checkpoint, options);
    } finally {
      await checkpoint.close();
    }
  },
});

export interface PixArtFromPretrainedOptions extends OpenPixArtOptions, LoadOptions, BackendOptions, HubOptions {
  /** Default: the backend that is running, else the first that is there, as `useBackend` says. */
  readonly backend?: BackendName | undefined;
}

/** Prompts to pictures. */
export type PixArtPipeline = TextPipeline;

/** The class itself, with the way to open a checkpoint that starts a backend, too. */
export const PixArtPipeline = Object.assign(TextPipeline, {
  /**
   * Opens a converted folder, a diffusers folder of a PixArtAlphaPipeline, or a `.pth` / `.safetensors` file (with `vae`,
   * `textEncoder`, `tokenizer`), and reads it into the backend; a large text encoder stays on disk. Call `dispose()` on
   * what it gives.
   * @param location as `DiTPipeline.fromPretrained` takes it; `vae`, `textEncoder` and `tokenizer` may be some, too
   * @throws FileError, FormatError, CheckpointError, HubError, BackendError or DeviceError saying what is wrong and what to do.
   */
  async fromPretrained(location: CheckpointLocation, options: PixArtFromPretrainedOptions = {}): Promise<TextPipeline> {
    await useBackend(options.backend, options);
    const { found, options: foundToo } = await checkpointLocations(location, options);
    const checkpoint = await openPixArt(found, foundToo);
    try {
      return await TextPipeline.fromCheckpoint(checkpoint, options);
    } finally {
      await checkpoint.close();
    }
  },
});

export interface LoadAutoencoderOptions extends AutoencoderSizes, AutoencoderKLOptions, BackendOptions, HubOptions {
  /** Default: the backend that is running, else the first that is there, as `useBackend` says. */
  readonly backend?: BackendName | undefined;
}

/**
 * An autoencoder without a diffusion model: a converted folder, a diffusers folder of an AutoencoderKL or one that has
 * `vae/`, or a single file, also of latent-diffusion and out of a Stable Diffusion file; read into the backend, its
 * encoder only with `encoder: true`. Call `dispose()` on what it gives.
 * @param location also a URL or a model on the hub, as `DiTPipeline.fromPretrained` takes it
 * @throws FileError, FormatError, CheckpointError, HubError, BackendError or DeviceError saying what is wrong and what to do.
 */
export async function loadAutoencoder(
  location: CheckpointLocation,
  options: LoadAutoencoderOptions = {},
): Promise<AutoencoderKL> {
  await useBackend(options.backend, options);
  const vae = await checkpointLocation(location, { ...options, part: 'vae' });
  const opened = await openAutoencoder({ ...options, vae });
  try {
    return await AutoencoderKL.fromCheckpoint(opened, options);
  } finally {
    await opened.archive.close();
  }
}

export interface OpenFeatureExtractorOptions extends BackendOptions {
  /** Default: the backend that is running, else the first that is there, as `useBackend` says. */
  readonly backend?: BackendName | undefined;
}

/**
 * A classifier of pictures as an extractor of features, for Fréchet distance, Inception Score and agreement: a folder such
 * as checkpoints/emoji-classifier, read into the backend. Call `dispose()` on what it gives.
 * @throws FileError, CheckpointError or BackendError saying what is wrong and what to do.
 */
export async function openFeatureExtractor(
  location: CheckpointLocation,
  options: OpenFeatureExtractorOptions = {},
): Promise<FeatureExtractor> {
  await useBackend(options.backend, options);
  const checkpoint = await openClassifier(location);
  try {
    return await FeatureExtractor.fromCheckpoint(checkpoint);
  } finally {
    await checkpoint.close();
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
export { openClassifier } from '../converters/open-classifier.ts';
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
export {
  artifactJson,
  type CacheArtifact,
  hasPlan,
  type PolynomialArtifact,
  parseArtifact,
  type TableArtifact,
} from './cache/artifact.ts';
export { type BudgetStages, stagesOfBudget } from './cache/budget.ts';
export { CachedBlocks } from './cache/cached-blocks.ts';
export { type PlanCost, planCost } from './cache/cost.ts';
export { fingerprintOf, type RunFingerprint, type RunIdentity } from './cache/fingerprint.ts';
export {
  type CachePlan,
  countBlocks,
  drawPlan,
  type PlanCell,
  type PlanSetting,
  type PlanStep,
  planCells,
  uncachedPlan,
} from './cache/plan.ts';
export { type PlanJson, planFromJson, planToJson } from './cache/plan-json.ts';
export {
  ADA_CACHE_CODEBOOKS,
  type AdaCacheOptions,
  adaCache,
  type CodebookEntry,
  type CodebookName,
} from './cache/policies/ada-cache.ts';
export { type AdaptiveDeltaOptions, adaptiveDelta } from './cache/policies/adaptive-delta.ts';
export { calibratedTeaCache } from './cache/policies/calibrated-tea-cache.ts';
export { type DBCacheOptions, dbCache } from './cache/policies/db-cache.ts';
export { type DBPruneOptions, dbPrune } from './cache/policies/db-prune.ts';
export { type DeltaDiTOptions, deltaDiT } from './cache/policies/delta-dit.ts';
export { type EasyCacheOptions, easyCache } from './cache/policies/easy-cache.ts';
export { type EcadSchedule, ecad, isEcadSchedule, parseEcadSchedule } from './cache/policies/ecad.ts';
export { type FasterDiffusionOptions, fasterDiffusion } from './cache/policies/faster-diffusion.ts';
export { type FirstBlockCacheOptions, firstBlockCache } from './cache/policies/first-block-cache.ts';
export { type ForaOptions, fora } from './cache/policies/fora.ts';
export { type ForecastOptions, forecast } from './cache/policies/forecast.ts';
export {
  harmoniCa,
  type LearningToCacheOptions,
  learningToCache,
  type RouterScores,
} from './cache/policies/learning-to-cache.ts';
export {
  type PyramidAttentionBroadcastOptions,
  pyramidAttentionBroadcast,
} from './cache/policies/pyramid-attention-broadcast.ts';
export { type SmoothCacheSchedule, smoothCache } from './cache/policies/smooth-cache.ts';
export { deltaCache, featureCache, type Region, type SpanCacheOptions } from './cache/policies/span-cache.ts';
export { type SpeCaOptions, speCa } from './cache/policies/spe-ca.ts';
export { tablePolicy } from './cache/policies/table.ts';
export { type TaylorSeerOptions, taylorSeer } from './cache/policies/taylor-seer.ts';
export { type TeaCacheOptions, teaCache } from './cache/policies/tea-cache.ts';
export { type CachePolicy, type DynamicPolicy, isStatic, type StaticPolicy } from './cache/policy.ts';
export { parsePredictor, predictorOf } from './cache/predictors/named.ts';
export type {
  LinearPredictor,
  Predictor,
  PredictorSpec,
  Snapshot,
  TensorPredictor,
} from './cache/predictors/predictor.ts';
export { type BlockDelta, type RecordedBlock, recordDeltas, reportDeltas } from './cache/record-deltas.ts';
export type { Halves } from './cache/row-change.ts';
export type { CacheCounts, RunCache } from './cache/run-cache.ts';
export { type Site, type Span, siteKey, spanSite } from './cache/site.ts';
export {
  defaultCachedBlocks,
  defaultInterval,
  defaultStageBound,
  planDeltaDiT,
  planStages,
} from './cache/stage-planner.ts';
export { blobSource } from './checkpoint/blob-source.ts';
export type { ByteSource } from './checkpoint/byte-source.ts';
export type { CheckpointFolder } from './checkpoint/folder.ts';
export type { WeightDtype } from './checkpoint/hold.ts';
export type { CheckpointFile, CheckpointLocation } from './checkpoint/location.ts';
export type { StoredTensor, TensorArchive } from './checkpoint/stored-tensor.ts';
export { WeightScope, Weights } from './checkpoint/weights.ts';
export { readTensor } from './device.ts';
export * from './errors.ts';
export { type DownloadOptions, downloadCheckpoint, type HubOptions } from './hub/checkpoint-path.ts';
export type { WantedPart } from './hub/needed-files.ts';
export { openCacheStore } from './hub/stores/cache-store.ts';
export type { CheckpointStore, StoreLockOptions } from './hub/stores/checkpoint-store.ts';
export { memoryStore } from './hub/stores/memory-store.ts';
export { openOpfsStore } from './hub/stores/opfs-store.ts';
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
export {
  CALIBRATION_METHODS,
  type CalibrateOptions,
  type CalibrationMethod,
  type CalibrationRules,
  calibrate,
} from './lab/calibrate.ts';
export { MAGCACHE_RULE, type MagCacheRule, magCacheSteps, smoothCacheSteps } from './lab/calibrated-schedules.ts';
export { deltaFigure } from './lab/delta-figure.ts';
export { type DeltaMeasures, DeltaMeter, type DeltaReading } from './lab/delta-meter.ts';
export { DELTA_MEASURES, type DeltaMeasure, type DeltaSeries, type DeltaStatistics } from './lab/delta-series.ts';
export { frontierFigure, type Question, type Swept, sweepFigure } from './lab/lab-figures.ts';
export { GRID_NAMES, type GridName, type GridSetting, type LabGrid, labGrid } from './lab/lab-grids.ts';
export { type LabMethod, samplingOf, uncached } from './lab/lab-method.ts';
export { type LabBatch, type LabOptions, type LabStore, runLab } from './lab/lab-run.ts';
export {
  type LabResults,
  type LabRow,
  type LabSetting,
  labTable,
  type Nearness,
  type Recognised,
  type TimedRuns,
} from './lab/lab-table.ts';
export { type LabTiming, type TimingOptions, type TimingStore, timeLab } from './lab/lab-timing.ts';
export { type LaidSampling, laidSampling } from './lab/laid-sampling.ts';
export { chooseSpans, measuredSpans, type SpanChoice } from './lab/measured-spans.ts';
export type { BenchPicture, MethodQuality, PictureQuality } from './lab/method-tally.ts';
export { type ClaimSetting, type JudgedClaim, judgeClaims, type Measure, type PaperModel } from './lab/paper-claims.ts';
export { type NamedPlan, plansFigure } from './lab/plan-figure.ts';
export { RANDOM_SIZE_NAMES, randomCheckpoint } from './lab/random-checkpoint.ts';
export { randomPainter } from './lab/random-painter.ts';
export type { Spread } from './lab/spread.ts';
export { countSubjects, type ReportedRun, type SubjectKind, subjectsInTurn } from './lab/subjects.ts';
export { type TuneGoal, type TuneOptions, type TuneReport, tune } from './lab/tune.ts';
export { type SearchOptions, TUNE_BATCH } from './lab/tune-scores.ts';
export type { TunedMethod } from './lab/tune-search.ts';
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
export { type Agreement, agreement } from './metrics/agreement.ts';
export { type ExtractedRows, type ExtractOptions, FeatureExtractor } from './metrics/feature-extractor.ts';
export { type FeatureRows, frechetDistance } from './metrics/frechet.ts';
export { HIGH_FREQUENCY_CUTOFF, highFrequencyError } from './metrics/high-frequency.ts';
export { inceptionScore } from './metrics/inception-score.ts';
export { labelsOf, type WantedSubject } from './metrics/label-names.ts';
export { measurePair, type PairMeasures } from './metrics/picture-pairs.ts';
export { piqe } from './metrics/piqe.ts';
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
  type BlockOutputs,
  type BlockRunner,
  type Branch,
  type BranchExchange,
  type BranchName,
  type Modulation,
  runAllBlocks,
  runBlock,
  runBranches,
} from './models/block.ts';
export { DiT, DiTBlock, type DiTConditioning, FinalLayer } from './models/dit.ts';
export type { DiTCheckpoint } from './models/dit-checkpoint.ts';
export {
  DIT_BRANCHES,
  DIT_SIZES,
  type DiTConfig,
  ditCost,
  type ModelCost,
  type Numerics,
} from './models/dit-config.ts';
export { ImageClassifier } from './models/image-classifier.ts';
export type { ImageClassifierCheckpoint } from './models/image-classifier-checkpoint.ts';
export type { ImageClassifierConfig, ImageLabel } from './models/image-classifier-config.ts';
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
  PIXART_BRANCHES,
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
export type { LoadOptions } from './pipelines/load-options.ts';
export {
  classPainter,
  type Painter,
  type PaintOptions,
  type PromptSettings,
  promptPainter,
} from './pipelines/painter.ts';
export {
  type ClassSettings,
  MAX_PICTURES,
  type PromptStoredSettings,
  parsePictureSettings,
  SETTINGS_KEYWORD,
  type StoredSettings,
  settingsOfFormat,
  storedLayout,
} from './pipelines/picture-settings.ts';
export { pictureTexts } from './pipelines/picture-texts.ts';
export { PIXART_DEFAULTS, type PixArtGenerateOptions, type PixArtResult } from './pipelines/pixart-pipeline.ts';
export { encodePng, insertPngText, readPngText } from './pipelines/png.ts';
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
export { type PlanOptions, planOf } from './pipelines/run-plan.ts';
export type { StepEvent } from './pipelines/sample.ts';
export { DDIM_DEFAULTS, type DDIMConfig, DDIMSampler } from './schedulers/ddim.ts';
export { OriginalDDIMSampler } from './schedulers/ddim-original.ts';
export { DDPM_DEFAULTS, type DDPMConfig, DDPMSampler } from './schedulers/ddpm.ts';
export { OriginalDDPMSampler } from './schedulers/ddpm-original.ts';
export { DEIS_DEFAULTS, type DEISConfig, DEISSampler } from './schedulers/deis.ts';
export { DPM_SOLVER_DEFAULTS, type DPMSolverConfig, DPMSolverSampler } from './schedulers/dpm-solver.ts';
export { LCM_DEFAULTS, type LCMConfig, LCMSampler } from './schedulers/lcm.ts';
export type { NoiseSchedule } from './schedulers/noise-schedule.ts';
export type { ModelOutput, NoiseSource, Sampler, Steps } from './schedulers/sampler.ts';
export { createSampler, SAMPLER_NAMES, type SamplerName, type SamplerOptions } from './schedulers/samplers.ts';
export { UNIPC_DEFAULTS, type UniPCConfig, UniPCSampler } from './schedulers/unipc.ts';
export { cleanPrompt, preparePrompt } from './tokenizers/clean-prompt.ts';
export { MAX_PROMPT_LENGTH } from './tokenizers/prompt-length.ts';
export { type EncodedPrompt, type EncodePromptOptions, T5Tokenizer } from './tokenizers/t5-tokenizer.ts';
