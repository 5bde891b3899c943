/** The public surface of delta-dit. Importing it starts nothing; a backend starts with the first pipeline. */
import { type OpenOptions, openDiT } from '../converters/open-dit.ts';
import { type BackendName, type BackendOptions, useBackend } from './backend/select.ts';
import type { Numerics } from './models/dit-config.ts';
import { DiTPipeline as Pipeline } from './pipelines/dit-pipeline.ts';

export interface FromPretrainedOptions extends OpenOptions, BackendOptions {
  /** Default: the backend that is running, else the first of tensorflow, wasm, cpu that is there. */
  readonly backend?: BackendName | undefined;
  /** Overrides the checkpoint's origin. */
  readonly numerics?: Numerics | undefined;
}

/** Class labels to pictures. */
export type DiTPipeline = Pipeline;

export const DiTPipeline = {
  /**
   * Opens a converted folder, a diffusers folder, or a `.pt` / `.pth` / `.safetensors` file (with `vae`), and reads it
   * into the backend. Call `dispose()` on what it gives.
   * @throws FileError, FormatError, CheckpointError or BackendError saying what is wrong and what to do.
   */
  async fromPretrained(path: string, options: FromPretrainedOptions = {}): Promise<Pipeline> {
    await useBackend(options.backend, options);
    const checkpoint = await openDiT(path, options);
    try {
      return await Pipeline.fromCheckpoint(checkpoint, options.numerics);
    } finally {
      await checkpoint.close();
    }
  },
};

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
export { psnr } from './metrics/psnr.ts';
export { ssim } from './metrics/ssim.ts';
export { AutoencoderKL, type AutoencoderKLConfig } from './models/autoencoder-kl.ts';
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
export { DIT_SIZES, type DiTConfig, ditCost, type Numerics } from './models/dit-config.ts';
export { type MicroConditions, PixArt } from './models/pixart.ts';
export {
  PixArtBlock,
  type PixArtCaption,
  type PixArtConditioning,
  type PixArtModulation,
  T2IFinalLayer,
} from './models/pixart-block.ts';
export type { PixArtCheckpoint } from './models/pixart-checkpoint.ts';
export { PIXART_XL_2, type PixArtConfig, type PixArtCost, pixArtCost } from './models/pixart-config.ts';
export type { T5Checkpoint } from './models/t5-checkpoint.ts';
export { T5_XXL, type T5EncoderConfig } from './models/t5-config.ts';
export { T5Encoder } from './models/t5-encoder.ts';
export type { CaptionEncoder, CaptionOptions, LayerProgress, PromptTokens } from './models/t5-forward.ts';
export { StreamedT5Encoder } from './models/t5-streamed.ts';
export { TorchGenerator } from './ops/randn.ts';
export type { DiTGenerateOptions, DiTResult } from './pipelines/dit-pipeline.ts';
export type { PixelImage } from './pipelines/image.ts';
export {
  type EncoderIdentity,
  type PromptEmbeds,
  readPromptEmbeds,
  serialisePromptEmbeds,
} from './pipelines/prompt-embeds.ts';
export type { GenerationReport } from './pipelines/report.ts';
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
