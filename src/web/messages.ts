/** What the page and its worker tell each other. */
import type { BackendName, PixelImage, PlanCell, SamplerName } from '../index.ts';
import type { CacheChoice } from './cache-methods.ts';

/** All that a run follows. */
export interface RunRequest {
  /** A demo model's name. */
  readonly model: string;
  /** A class or a prompt. */
  readonly subject: string;
  readonly seed: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly sampler: SamplerName;
  /** Null without. */
  readonly cache: CacheChoice | null;
  /** Whether the picture is also made without the cache. */
  readonly compare: boolean;
  /** Undefined: the fastest that is there. */
  readonly backend: BackendName | undefined;
}

/** Which of a comparison's two. */
export type RunName = 'uncached' | 'cached';

/** Columns of what each step does with each block; of steps that are not known yet, none. */
export type BlockMap = readonly (readonly PlanCell[])[];

export type ToWorker =
  | { readonly kind: 'plan'; readonly request: RunRequest }
  /** @param site the page's address, which checkpoints and .wasm files lie beside */
  | { readonly kind: 'generate'; readonly request: RunRequest; readonly site: string }
  | { readonly kind: 'stop' };

/** The answer to 'plan': the plan of a method that decides before it runs, or why there is none. */
export interface Planned {
  readonly kind: 'planned';
  readonly request: RunRequest;
  readonly columns: BlockMap;
  /** What the method takes for the options that are left to it, where the run decides. */
  readonly suggested: Readonly<Record<string, number>>;
  readonly refusal?: string;
}

export interface Loading {
  readonly kind: 'loading';
  /** 0…1, where it is known. */
  readonly done: number | undefined;
}

export interface Loaded {
  readonly kind: 'loaded';
  /** The backend, for people. */
  readonly backend: string;
}

export interface StepDone {
  readonly kind: 'step';
  readonly run: RunName;
  /** 0… from noise. */
  readonly step: number;
  readonly column: readonly PlanCell[];
  /** Blocks computed. */
  readonly blocks: number;
  readonly seconds: number;
  /** A small picture, a pixel a latent position. */
  readonly preview: PixelImage;
}

export interface PictureDone {
  readonly kind: 'picture';
  readonly run: RunName;
  readonly picture: PixelImage;
  readonly file: { readonly name: string; readonly png: Uint8Array<ArrayBuffer> };
  readonly samplingSeconds: number;
  readonly warnings: readonly string[];
}

export interface Compared {
  readonly kind: 'compared';
  /** In dB; infinite where the pictures are equal. */
  readonly psnr: number;
  readonly speedUp: number;
  /** Of the blocks, uncached by cached; undefined where it is not known. */
  readonly macsRatio: number | undefined;
}

export interface Failed {
  readonly kind: 'failed';
  /** What is wrong and what to do. */
  readonly message: string;
  /** Whether other settings would do with the same worker. */
  readonly ofSettings: boolean;
}

export type FromWorker =
  | Planned
  | Loading
  | Loaded
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'warming-up' }
  | { readonly kind: 'started'; readonly run: RunName; readonly columns: BlockMap }
  | StepDone
  | PictureDone
  | Compared
  | Failed
  | { readonly kind: 'finished' }
  | { readonly kind: 'stopped' };

/** How the worker speaks. @param transfer buffers that go over without a copy */
export type Tell = (message: FromWorker, transfer?: readonly Transferable[]) => void;
