import { existsSync } from 'node:fs';
import type { WeightDtype } from '../../checkpoint/hold.ts';
import { fusedAddonPath } from '../native/fused-addon.ts';
import { NATIVE_DTYPES } from '../native/fused-kernels.ts';
import { type ProbeOptions, probeFusedOps } from '../native/probe.ts';
import { setUpCommand } from '../native/set-up-command.ts';
import { findTfjsNode } from '../native/tfjs-node-package.ts';
import type { BackendCheck } from './backends.ts';
import { type Finding, OK } from './finding.ts';

/** Our own ops on top of the TensorFlow that would be chosen. */
export interface FusedOpsCheck extends Finding {
  /** The addon that holds them, where it is there. */
  readonly addon?: string;
  /** The instruction set that they use here: "amx", "avx512", "avx2", "plain". */
  readonly instructions?: string;
  /** How they hold weights. */
  readonly dtypes?: readonly WeightDtype[];
}

/** @param backends as probed, the one that is chosen first among those that work */
export async function checkFusedOps(
  backends: readonly BackendCheck[],
  userFolder: string,
  options: ProbeOptions,
): Promise<FusedOpsCheck> {
  const chosen = backends.find(({ status }) => status === 'ok');
  if (chosen?.backend !== 'tensorflow') return { status: 'absent', problem: 'need the backend tensorflow' };
  if (chosen.gpu) return { status: 'absent', problem: 'are made for the CPU, and TensorFlow uses a GPU' };
  const tfjsNode = findTfjsNode(userFolder).find(({ folder }) => folder === chosen.folder);
  const addon = tfjsNode && fusedAddonPath(tfjsNode);
  if (!tfjsNode || addon === undefined) return { status: 'absent', problem: 'their sources are not there' };
  const fix = `Run \`${setUpCommand(tfjsNode.name)}\`.`;
  if (!existsSync(addon)) return { status: 'warning', problem: 'are not compiled yet; pictures take longer', fix };
  const probe = await probeFusedOps(tfjsNode, addon, options);
  if (!probe.works) return { addon, status: 'failed', problem: `do not work: ${probe.reason}`, fix };
  return { addon, instructions: probe.instructions, dtypes: NATIVE_DTYPES, ...OK };
}
