import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { declareHolding } from '../../checkpoint/hold.ts';
import { BackendError } from '../../errors.ts';
import type { FusedOpsReport } from '../backends/backend.ts';
import { NATIVE_DTYPES, type NodeBackend, registerFusedKernels } from './fused-kernels.ts';
import { ownFolder } from './own-package.ts';
import { setUpCommand } from './set-up-command.ts';
import type { TfjsNodePackage } from './tfjs-node-package.ts';

/** What kernels/addon.cc exports. */
export interface FusedAddon {
  /** The TensorFlow that it was compiled for, "2.21.0". */
  readonly tensorflow: string;
  register(): void;
  /** The instruction set in use, after choosing another where one is named. @throws RangeError where there is none */
  instructions(name?: string): string;
}

/** The C++ of our ops, all in one folder; undefined where this library lies in no package. */
export function fusedSources(): { readonly folder: string; readonly files: readonly string[] } | undefined {
  const own = ownFolder();
  const folder = own === undefined ? undefined : join(own, 'src', 'backend', 'native', 'kernels');
  if (folder === undefined || !existsSync(folder)) return undefined;
  const files = readdirSync(folder).filter((file) => /\.(cc|h|inc)$/.test(file));
  return { folder, files: files.sort() };
}

/**
 * Where the addon of these sources lies: beside the TensorFlow that a tfjs-node uses, which may serve other versions of
 * this library, too.
 */
export function fusedAddonPath({ addon }: Pick<TfjsNodePackage, 'addon'>): string | undefined {
  const sources = fusedSources();
  if (!sources || !existsSync(addon)) return undefined;
  const hash = createHash('sha256');
  for (const file of sources.files) hash.update(`${file}\0`).update(readFileSync(join(sources.folder, file)));
  return join(dirname(realpathSync(addon)), `delta-dit-${hash.digest('hex').slice(0, 12)}.node`);
}

/**
 * Gives our ops to the TensorFlow that is running. Where they are not there, everything is composed of TensorFlow's.
 * @throws BackendError where they were compiled for another TensorFlow
 */
export function loadFusedOps(tfjsNode: TfjsNodePackage | undefined, running: KernelBackend): FusedOpsReport {
  const { binding, isUsingGpuDevice } = running as NodeBackend;
  if (isUsingGpuDevice) return { reason: 'they are made for the CPU' };
  if (process.env.DELTA_DIT_FUSED === '0') return { reason: 'DELTA_DIT_FUSED=0 switches them off' };
  const path = tfjsNode && fusedAddonPath(tfjsNode);
  const command = setUpCommand(tfjsNode?.name);
  if (path === undefined || !existsSync(path)) return { reason: 'they are not compiled yet', command };
  const addon = load(path);
  if (typeof addon === 'string') return { reason: `they cannot be loaded: ${addon}`, command };
  if (addon.tensorflow !== binding.TF_Version) {
    throw new BackendError(
      `The fused ops in ${path} are made for TensorFlow ${addon.tensorflow}, and ${binding.TF_Version} is running. ` +
        `Run \`rm ${path} && ${command}\`, or set DELTA_DIT_FUSED=0 to go without them.`,
    );
  }
  addon.register();
  registerFusedKernels();
  const instructions = addon.instructions();
  // PSNR of the shipped DiT's pictures to float32: 49 dB and above (20 steps, 8 classes, linears rounded so in PyTorch).
  const preferred = instructions === 'amx' ? 'bfloat16' : 'float32';
  declareHolding(running, { dtypes: NATIVE_DTYPES, preferred });
  return { instructions };
}

function load(path: string): FusedAddon | string {
  try {
    return createRequire(import.meta.url)(path) as FusedAddon;
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  }
}
