import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AbortError } from '../../errors.ts';
import { fusedAddonPath } from './fused-addon.ts';
import { probeFusedOps } from './probe.ts';
import { compileFusedOps } from './setup-compile.ts';
import type { ReportProgress } from './setup-progress.ts';
import type { TfjsNodePackage } from './tfjs-node-package.ts';

/** Whether our own ops are there beside a tfjs-node's TensorFlow, and by which instructions they compute. */
export type FusedOpsOutcome =
  | { readonly how: 'found' | 'built'; readonly instructions: string }
  | { readonly how: 'missing'; readonly reason: string };

/**
 * Completes a native part that works: compiles our ops beside it, unless those of these sources are there and compute.
 * What goes wrong is told and no error: without them TensorFlow's own ops do their work.
 * @param tensorflow version of its library, "2.21.0"
 */
export async function setUpFusedOps(
  tfjsNode: TfjsNodePackage,
  tensorflow: string,
  report: ReportProgress,
  signal: AbortSignal | undefined,
): Promise<FusedOpsOutcome> {
  const addon = fusedAddonPath(tfjsNode);
  if (addon === undefined) return { how: 'missing', reason: 'this copy of delta-dit lies in no package' };
  if (!hasHeaders(addon)) return { how: 'missing', reason: 'its native part is not one that setup-native has made' };
  if (existsSync(addon)) {
    const found = await probeFusedOps(tfjsNode, addon, { signal });
    if (found.works) return { how: 'found', instructions: found.instructions };
    report({ message: `the fused ops do not work (${found.reason}); making them again` });
  }
  const unproven = join(dirname(addon), `.unproven-${randomUUID()}.node`);
  try {
    report({ message: 'compiling the fused ops' });
    await compileFusedOps(tensorflow, unproven, signal);
    const probe = await probeFusedOps(tfjsNode, unproven, { signal });
    if (!probe.works) return { how: 'missing', reason: `they were compiled, but do not work here: ${probe.reason}` };
    await rename(unproven, addon);
    return { how: 'built', instructions: probe.instructions };
  } catch (error) {
    if (error instanceof AbortError || signal?.aborted) throw error;
    return { how: 'missing', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(unproven, { force: true }).catch(() => {}); // a folder of another user, without the right to write
  }
}

function hasHeaders(addon: string): boolean {
  return existsSync(join(dirname(addon), 'include', 'tensorflow', 'c', 'ops.h'));
}
