import { freemem, totalmem } from 'node:os';
import { WASM_HEAP_BYTES } from '../backend/backends/wasm.ts';
import { setUpCommand } from '../backend/native/set-up-command.ts';
import {
  BackendError,
  type BackendReport,
  checkpointMemory,
  type MemoryRequest,
  type OpenedCheckpoint,
  peakBytes,
} from '../index.ts';

export type { MemoryRequest } from '../index.ts';

/** Memory that is there for tensors. */
export interface MemoryLimit {
  readonly bytes: number;
  /** What ends there, for the message. */
  readonly reason: string;
  /** What makes more of it available. */
  readonly advice?: string;
}

/** What a run takes beside its tensors, as measured: see src/models/memory.ts. */
const OVERHEAD_BYTES = 0.4e9;

/** The limits of this process once its backend runs. A GPU's own memory is not known here, so that only the host's counts. */
export function memoryLimits({ name, gpu }: Pick<BackendReport, 'name' | 'gpu'>): readonly MemoryLimit[] {
  if (gpu) return [];
  // macOS counts what files left in memory as used, though it gives it back at need
  const free = process.platform === 'darwin' ? totalmem() : freemem();
  const machine = { bytes: free - OVERHEAD_BYTES, reason: 'is free on this machine' };
  const allowed = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  // a container's own count would include the files that it has read: what this process holds is what cannot be freed
  const container = {
    bytes: allowed - process.memoryUsage.rss() - OVERHEAD_BYTES,
    reason: 'is left to this container',
  };
  const wasm = {
    bytes: WASM_HEAP_BYTES,
    reason: 'is all that WebAssembly can address',
    advice: `use the native backend (${setUpCommand(undefined)})`,
  };
  return [machine, container, ...(name === 'wasm' ? [wasm] : [])];
}

/** How often a backend holds every weight. */
export function weightCopies({ name }: Pick<BackendReport, 'name'>): number {
  return name === 'wasm' ? 2 : 1;
}

/**
 * Compares what a run will hold with what there is, before weights are read.
 * @param copies of the weights, as `weightCopies` says
 * @throws BackendError that says how much is needed, how much there is, and what to do; what opening the checkpoint's
 * text encoder throws.
 */
export async function checkMemory(
  checkpoint: OpenedCheckpoint,
  request: MemoryRequest,
  limits: readonly MemoryLimit[],
  copies = 1,
): Promise<void> {
  const memoryOf = await checkpointMemory(checkpoint);
  const needed = (pictures: number) => peakBytes(memoryOf({ ...request, pictures }), copies);
  const { pictures } = request;
  const limit = limits.find(({ bytes }) => needed(pictures) > bytes);
  if (!limit) return;
  const least = Math.min(...limits.map(({ bytes }) => bytes));
  let fitting = pictures - 1;
  while (fitting > 0 && needed(fitting) > least) fitting--;
  const advice = [fitting > 0 ? `give --batch-size ${fitting}` : limit.advice, '--force-memory tries it all the same'];
  const what = pictures === 1 ? 'one picture' : `${pictures} pictures at once`;
  throw memoryError(`${checkpoint.name}: ${what}`, needed(pictures), limit, advice);
}

/** @param what would take so many bytes @param advice of which one is enough */
export function memoryError(
  what: string,
  needed: number,
  limit: MemoryLimit,
  advice: readonly (string | undefined)[],
): BackendError {
  return new BackendError(
    `${what} would take about ${gigabytes(needed)} of memory, and ${gigabytes(limit.bytes)} ${limit.reason}; ` +
      advice.filter((part) => part !== undefined).join(', or '),
  );
}

function gigabytes(bytes: number): string {
  return `${(Math.max(0, bytes) / 1e9).toFixed(1)} GB`;
}
