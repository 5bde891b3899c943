import { findBackendFactory, type KernelBackend, removeBackend, setBackend, version_core } from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.ts';

export const BACKEND_NAMES = ['tensorflow', 'wasm', 'cpu'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

export interface BackendOptions {
  /** Accept only a TensorFlow that runs on a GPU. Implies the backend `tensorflow`. Default false. */
  readonly gpu?: boolean;
  /**
   * Where the three `.wasm` files of @tensorflow/tfjs-backend-wasm are served: the URL of their folder, or the URL of each
   * by its name. For browsers; Node finds them by itself.
   */
  readonly wasmPaths?: string | Readonly<Record<string, string>>;
  /** Told what works and could work better. Default: console.warn. */
  readonly onWarning?: ((message: string) => void) | undefined;
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
  /** Faster backends that were passed over because they are not there, fastest first. */
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
  /** Looks without loading anything; undefined where the backend can be started. */
  findAbsence(): Promise<AbsentBackend | undefined>;
  /** Loads the package and makes it the backend of tfjs. Throws BackendError. */
  start(options: BackendOptions): Promise<void>;
  /** Describes the backend while it runs. */
  describe(running: KernelBackend): Promise<Omit<BackendReport, 'name' | 'absent' | 'fusedOps'>>;
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
