import { env } from '@tensorflow/tfjs-core';
import { OptionError } from '../../errors.ts';
import { assertStartable, type Backend, type BackendOptions, isNode, makeCurrent } from './backend.ts';

/** 65535 pages of 64 KiB: MAXIMUM_MEMORY of @tensorflow/tfjs-backend-wasm, all that 32-bit addresses reach. */
export const WASM_HEAP_BYTES = 65535 * 65536;

/** WebAssembly: comes with the package, one thread in Node. */
export const wasm: Backend = {
  name: 'wasm',
  findAbsence: async () => {
    if (typeof WebAssembly !== 'undefined') return undefined;
    return { name: 'wasm', reason: 'this JavaScript engine has no WebAssembly' };
  },
  start: async (options) => {
    const before = isNode() ? exitListeners() : undefined;
    await load(options);
    if (before) removeNewListeners(before);
  },
  describe: async () => {
    const { getThreadsCount, version_wasm } = await import('@tensorflow/tfjs-backend-wasm');
    const simd = await env().getAsync('WASM_HAS_SIMD_SUPPORT');
    return { description: describeWasm(Boolean(simd), getThreadsCount()), version: version_wasm, gpu: false };
  },
};

export function describeWasm(simd: boolean, threads: number): string {
  return `WebAssembly${simd ? ' with SIMD' : ''}, ${threads === 1 ? '1 thread' : `${threads} threads`}`;
}

const SERVED = ' Serve the .wasm files of @tensorflow/tfjs-backend-wasm and pass their folder as `wasmPaths`.';

async function load(options: BackendOptions): Promise<void> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  const { prepareThreads } = await import('#src/backend/backends/wasm-threads');
  prepareThreads(options.onWarning ?? console.warn);
  assertStartable('wasm');
  if (options.wasmPaths !== undefined) setWasmPaths(checkedPaths(options.wasmPaths));
  await makeCurrent('wasm', isNode() ? '' : SERVED);
}

const WASM_FILES = [
  'tfjs-backend-wasm.wasm',
  'tfjs-backend-wasm-simd.wasm',
  'tfjs-backend-wasm-threaded-simd.wasm',
] as const;

/** @throws OptionError when a file has no place */
function checkedPaths(paths: string | Readonly<Record<string, string>>): string | Record<string, string> {
  if (typeof paths === 'string') return paths.replace(/\/?$/, '/');
  const missing = WASM_FILES.filter((file) => paths[file] === undefined);
  if (missing.length === 0) return { ...paths };
  throw new OptionError(`wasmPaths: expected the URLs of ${WASM_FILES.join(', ')}; ${missing.join(', ')} is missing`);
}

const EXIT_EVENTS = ['uncaughtException', 'unhandledRejection'] as const;
type Listener = (...values: unknown[]) => void;

function exitListeners(): Set<unknown> {
  return new Set(EXIT_EVENTS.flatMap((event) => process.rawListeners(event)));
}

/**
 * Emscripten's start-up code rethrows every uncaught error of the whole process from inside its minified source, which
 * buries the error under a page of code and changes the exit code.
 */
function removeNewListeners(before: Set<unknown>): void {
  for (const event of EXIT_EVENTS) {
    for (const listener of process.rawListeners(event)) {
      if (!before.has(listener)) process.removeListener(event, listener as Listener);
    }
  }
}
