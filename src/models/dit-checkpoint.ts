import type { TensorArchive } from '../checkpoint/stored-tensor.ts';
import type { AutoencoderKLCheckpoint } from './autoencoder-config.ts';
import type { DiTConfig, Numerics } from './dit-config.ts';

/** Settings that a checkpoint suggests where the caller gives none. */
export interface SamplingDefaults {
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
}

/** An opened checkpoint of a class-conditional DiT, whatever its layout on disk. Nothing is read before it is asked. */
export interface DiTCheckpoint {
  /** Shown in errors and reports. */
  readonly name: string;
  /** Whose numbers the weights were trained or converted for. */
  readonly numerics: Numerics;
  readonly transformer: { readonly config: DiTConfig; readonly archive: TensorArchive };
  readonly vae: AutoencoderKLCheckpoint;
  /** diffusers' scheduler_config.json, as it stands; empty where the checkpoint has none. */
  readonly scheduler: Readonly<Record<string, unknown>>;
  /** One entry a class; an entry may hold several names, separated by commas. Empty where unknown. */
  readonly labels: readonly string[];
  readonly defaults: Partial<SamplingDefaults>;
  /** The text of the cache plan that it carries, where it carries one. */
  readonly cachePlan?: string | undefined;
  /** Paths of the files that hold the weights. */
  readonly files: readonly string[];
  /** Their sha256, where the checkpoint states them; else empty. */
  readonly sha256: readonly string[];
  close(): Promise<void>;
}
