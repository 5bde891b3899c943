import { getBackend, backend as runningBackend } from '@tensorflow/tfjs-core';
import { tensorflow } from '#src/backend/backends/tensorflow';
import { weightHolding } from '../checkpoint/hold.ts';
import { BackendError, OptionError } from '../errors.ts';
import {
  type AbsentBackend,
  BACKEND_NAMES,
  type Backend,
  type BackendName,
  type BackendOptions,
  type BackendReport,
  isNode,
  TFJS_VERSION,
} from './backends/backend.ts';
import { cpu } from './backends/cpu.ts';
import { wasm } from './backends/wasm.ts';
import { webgpu } from './backends/webgpu.ts';

export { BACKEND_NAMES, type BackendName, type BackendOptions, type BackendReport } from './backends/backend.ts';

/** The order in which they are tried when nothing is asked for. */
const BACKENDS: readonly Backend[] = [tensorflow, webgpu, wasm, cpu];

/**
 * Starts a backend for all tensors of this process and says which it is.
 *
 * Without a name, a backend that the caller has already started is kept, or started again where its device is lost; else
 * the first that is there is started of `tensorflow`, `wasm`, `cpu` in Node, and of `webgpu`, `wasm`, `cpu` in a browser.
 *
 * @throws BackendError if the backend asked for is not there (the message names the command to run), cannot be loaded,
 *   or if `gpu` is asked for and the backend runs on none.
 * @throws OptionError for an unknown name, or `gpu` with a backend that never runs on one.
 */
export async function useBackend(name?: BackendName, options: BackendOptions = {}): Promise<BackendReport> {
  const asked = name ?? (options.gpu ? 'tensorflow' : lostBackend());
  if (options.gpu && asked !== 'tensorflow' && asked !== 'webgpu') {
    throw new OptionError(`gpu: true needs the backend tensorflow or webgpu, got ${asked}. Leave one of the two out.`);
  }
  if (asked !== undefined) await startAsked(asked, options);
  else if (!getBackend()) return startFirst(options);
  const report = await describeCurrent([]);
  if (options.gpu && !report.gpu) throw new BackendError(noGpu(report));
  return report;
}

async function startAsked(name: BackendName, options: BackendOptions): Promise<void> {
  const chosen = BACKENDS.find((backend) => backend.name === name);
  if (!chosen) throw new OptionError(`Backend: expected one of ${BACKEND_NAMES.join(', ')}, got ${String(name)}.`);
  if (getBackend() === name && !lostBackend()) return;
  const absence = await chosen.findAbsence();
  if (absence) {
    const advice = absence.command ? ` Run \`${absence.command}\`.` : '';
    throw new BackendError(`The backend ${name} is not there: ${absence.reason}.${advice}`);
  }
  await chosen.start(options);
}

/** The name of the current backend where its device is gone. */
function lostBackend(): BackendName | undefined {
  const current = BACKENDS.find(({ name }) => name === getBackend());
  return current?.isLost?.(runningBackend()) ? current.name : undefined;
}

async function startFirst(options: BackendOptions): Promise<BackendReport> {
  const absent: AbsentBackend[] = [];
  for (const backend of BACKENDS.filter(({ onlyByName }) => !onlyByName?.())) {
    const absence = await backend.findAbsence();
    if (absence) {
      absent.push(absence);
      continue;
    }
    try {
      await backend.start(options);
      return await describeCurrent(absent);
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      absent.push({ name: backend.name, reason: error.message });
      // in a page there is no doctor to ask why it is slow
      if (!isNode()) (options.onWarning ?? console.warn)(`${error.message} A slower backend is tried.`);
    }
  }
  throw new BackendError(`No backend is there: ${absent.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}.`);
}

async function describeCurrent(absent: readonly AbsentBackend[]): Promise<BackendReport> {
  const name = getBackend();
  const known = BACKENDS.find((backend) => backend.name === name);
  known?.listen?.(runningBackend());
  const described = known
    ? await known.describe(runningBackend())
    : { description: `${name}, started by the caller`, version: TFJS_VERSION, gpu: name.startsWith('webg') };
  const fusedOps = await known?.equip?.(runningBackend());
  return { name, ...described, ...(fusedOps && { fusedOps }), dtypes: weightHolding().dtypes, absent };
}

function noGpu(report: BackendReport): string {
  return (
    `A GPU was asked for, but there is none for ${report.description}: it would run on the CPU. ` +
    'Leave gpu out to run on the CPU; `delta-dit doctor` says what a GPU needs here.'
  );
}
