import { BackendError } from '../../errors.ts';

/** A browser brings its own WebGPU. */
export function findDawn(): undefined {}

export function runsHere(_dawn: undefined): boolean {
  return false;
}

export function dawnOptions(): string[] {
  return [];
}

export function noAdapterAdvice(): string {
  return 'Take the backend wasm.';
}

/** @throws BackendError */
export async function loadDawn(_options: readonly string[]): Promise<GPU> {
  throw new BackendError('The backend webgpu is not there: Dawn runs in Node only. Take the backend wasm.');
}
