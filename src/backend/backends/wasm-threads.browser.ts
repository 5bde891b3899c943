import factory from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js';
import source from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js?raw';
import { env } from '@tensorflow/tfjs-core';

const UNSHARED =
  'WebAssembly runs on one thread, because this page is not cross-origin isolated; to use all cores, serve it with the ' +
  'headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';

let told = false;

/**
 * Lets WebAssembly have threads. tfjs starts them with the text of this function, which does not stand alone any more when
 * a bundler has minified it; so it is given its text as it was.
 */
export function prepareThreads(onWarning: (message: string) => void): void {
  if (globalThis.crossOriginIsolated) {
    factory.toString = () => source.replace(/^\s*var WasmBackendModuleThreadedSimd = /, '');
    return;
  }
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (told) return;
  told = true;
  onWarning(UNSHARED);
}
