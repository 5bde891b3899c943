import { findBackendFactory, type KernelBackend, removeBackend, setBackend, version_core } from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../../checkpoint/hold.ts';
import { BackendError } from '../../errors.ts';

export const BACKEND_NAMES = ['tensorflow', 'webgpu', 'wasm', 'cpu'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

export interface BackendOptions {
  /** Accept only a backend that runs on a GPU. Implies the backend `tensorflow` where none is named. Default false. */
  readonly gpu?: boolean;
  /**
   * Where the three `.wasm` files of @tensorflow/tfjs-backend-wasm are served: the URL of their folder, or the URL of each
   * by its name. For browsers; Node finds them by itself.
   */
  readonly wasmPaths?: string | Readonly<Record<string, string>>;
  /** Told what works and could work better. Default: console.warn. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /**
   * Of `webgpu` in Node: options of Dawn, such as `backend=vulkan`, or `adapter=` and a part of the adapter's name. Added
   * to those of the environment variable DELTA_DIT_DAWN, which are separated by `;`.
   */
  readonly dawn?: readonly string[];
}

/** What runs the tensors, in words and in fields. */
export interface BackendReport {
  /** The name that tfjs gives it; another one than ours when the caller had started it before. */
  readonly name: string;
  /** For people, e.g. "TensorFlow 2.21.0, CPU". */
  readonly description: string;
  /** Version of the library that does the arithmetic. */
  readonly version: string;
  readonly gpu: boolean;
  /** Of TensorFlow: our own ops on top of it. */
  readonly fusedOps?: FusedOpsReport;
  /** How weights can be held: the `dtype` of a pipeline. */
  readonly dtypes: readonly WeightDtype[];
  /** Backends that come before it and were passed over because they are not there, in order. */
  readonly absent: readonly AbsentBackend[];
}

/** Fused ops that are in use, by instruction set ("avx2"), or why they are not and the command that brings them. */
export type FusedOpsReport =
  | { readonly instructions: string }
  | { readonly reason: string; readonly command?: string; readonly instructions?: never };

export interface AbsentBackend {
  readonly name: BackendName;
  readonly reason: string;
  /** The command that would make it available, where there is one. */
  readonly command?: string;
}

/** One way to run tensors. A new one is one file beside this and one row in `select.ts`. */
export interface Backend {
  readonly name: BackendName;
  /** Whether it is left out here when nothing is asked for. Default: it is not. */
  onlyByName?(): boolean;
  /** Looks without loading anything; undefined where the backend can be started. */
  findAbsence(): Promise<AbsentBackend | undefined>;
  /** Loads the package and makes it the backend of tfjs. Throws BackendError. */
  start(options: BackendOptions): Promise<void>;
  /** Describes the backend while it runs. */
  describe(running: KernelBackend): Promise<Omit<BackendReport, 'name' | 'absent' | 'fusedOps' | 'dtypes'>>;
  /** Hears what goes wrong in the backend's device on its own, also where the caller has started it. */
  listen?(running: KernelBackend): void;
  /** Whether that device is gone, so that the backend has to be started again. */
  isLost?(running: KernelBackend): boolean;
  /** Adds our own ops to the backend while it runs, also where the caller has started it. Throws BackendError. */
  equip?(running: KernelBackend): Promise<FusedOpsReport | undefined>;
}

export const TFJS_VERSION = version_core;

export function isNode(): boolean {
  return typeof process !== 'undefined' && typeof process.versions?.node === 'string';
}

/** @throws BackendError for one that tfjs has tried to start, in vain; it tries once. */
export function assertStartable(name: string): void {
  if (findBackendFactory(name)) return;
  throw new BackendError(
    `The backend ${name} could not be started before; start this process, or load this page, again.`,
  );
}

/** Makes an already registered backend the current one. */
export async function makeCurrent(name: BackendName, advice = ''): Promise<void> {
  assertStartable(name);
  if (await setBackend(name)) return;
  removeBackend(name); // tfjs would take it for the one that runs
  throw new BackendError(
    `The backend ${name} is installed, but tfjs could not start it; its warning says why.${advice}`,
  );
}
