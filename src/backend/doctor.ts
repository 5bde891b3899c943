import { type BackendCheck, checkBackends, withFixes } from './doctor/backends.ts';
import { type CheckpointCheck, checkCheckpoints, type MemoryLimit } from './doctor/checkpoints.ts';
import type { Finding } from './doctor/finding.ts';
import { checkFusedOps, type FusedOpsCheck } from './doctor/fused-ops.ts';
import { checkGpu, type GpuCheck } from './doctor/gpu.ts';
import {
  checkDisk,
  checkMemory,
  checkProcessor,
  type DiskCheck,
  type MemoryCheck,
  type ProcessorCheck,
} from './doctor/machine.ts';
import { checkNativeParts, type NativePartsCheck } from './doctor/native-parts.ts';
import { checkNode, type NodeCheck } from './doctor/node-version.ts';
import { checkPackages, type PackageCheck } from './doctor/packages.ts';
import { checkSetUp, type SetUpCheck } from './doctor/set-up.ts';
import { findNvidia } from './native/nvidia.ts';
import { findTfjsNode } from './native/tfjs-node-package.ts';

export type { Finding, Status } from './doctor/finding.ts';

/** Everything that decides whether and how fast pictures can be made here; `doctor --json` prints it as it is. */
export interface Diagnosis {
  /** Whether at least one backend computes. */
  readonly works: boolean;
  /** The backend that is taken when none is asked for; null where none works. */
  readonly backend: string | null;
  readonly node: NodeCheck;
  /** tfjs itself: one copy of each package, of the right version. */
  readonly packages: readonly PackageCheck[];
  /** In the order in which they are chosen; last webgpu, which is chosen by name only. */
  readonly backends: readonly BackendCheck[];
  readonly fusedOps: FusedOpsCheck;
  readonly setUp: SetUpCheck;
  readonly gpu: GpuCheck;
  readonly processor: ProcessorCheck;
  readonly memory: MemoryCheck;
  readonly disks: readonly DiskCheck[];
  readonly nativeParts: NativePartsCheck;
  readonly checkpoints: readonly CheckpointCheck[];
}

export interface DiagnoseOptions {
  /** Folders in which checkpoints lie, by name. */
  readonly checkpointFolders: readonly string[];
  /** Milliseconds after which a backend that does not answer counts as broken. Default 60 s: a cold disk is slow. */
  readonly timeLimit?: number;
  /** Default: `$XDG_CACHE_HOME/delta-dit`, else `~/.cache/delta-dit`. */
  readonly cacheDir?: string;
  /** Folder from which tfjs-node is looked for, after the folder of this library. Default: the current one. */
  readonly userFolder?: string;
}

/**
 * Looks at the machine, the packages and the checkpoints, and lets each backend compute in a process of its own: a
 * native part may crash or hang. Changes nothing.
 */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const { cacheDir, checkpointFolders, timeLimit = 60_000, userFolder = process.cwd() } = options;
  const limit = { timeLimit };
  const [probed, nvidia, nativeParts] = await Promise.all([
    checkBackends(userFolder, limit),
    findNvidia(),
    checkNativeParts(userFolder, cacheDir),
  ]);
  const backends = withFixes(probed, nvidia !== undefined);
  const working = backends.filter(isOk);
  const memory = checkMemory();
  return {
    works: working.length > 0,
    backend: working[0]?.backend ?? null,
    node: checkNode(),
    packages: checkPackages([userFolder, ...findTfjsNode(userFolder).map(({ folder }) => folder)]),
    backends,
    fusedOps: await checkFusedOps(backends, userFolder, limit),
    setUp: await checkSetUp(userFolder, cacheDir, working[0]?.backend !== 'tensorflow'),
    gpu: await checkGpu(backends, nvidia, limit),
    processor: await checkProcessor(),
    memory,
    disks: [await checkDisk('native parts', nativeParts.folder), await checkDisk('current folder', userFolder)],
    nativeParts,
    checkpoints: await checkCheckpoints(checkpointFolders, memoryLimits(memory, working[0])),
  };
}

function isOk({ status }: Finding): boolean {
  return status === 'ok';
}

/** A GPU's own memory is not compared: what is held there depends on TensorFlow. */
function memoryLimits({ availableBytes, wasmBytes }: MemoryCheck, chosen: BackendCheck | undefined): MemoryLimit[] {
  if (chosen?.gpu) return [];
  const machine = { bytes: availableBytes, reason: 'is available on this machine' };
  const wasm = { bytes: wasmBytes, reason: 'is all that the backend wasm can use' };
  return chosen?.backend === 'wasm' ? [machine, wasm] : [machine];
}
