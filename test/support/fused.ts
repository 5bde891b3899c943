import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { type FusedAddon, fusedAddonPath } from '../../src/backend/native/fused-addon.ts';
import { findTfjsNode, hasNativePart } from '../../src/backend/native/tfjs-node-package.ts';

/** The kernels of our own that the running backend has, by name. */
export function fusedKernels(): tf.KernelConfig[] {
  return tf.getKernelsForBackend(tf.getBackend()).filter(({ kernelName }) => kernelName.startsWith('DeltaDit'));
}

/** Runs `work` as on a backend that has no such kernels: every seat composes, until a promise that it gives is settled. */
export function composed<T>(work: () => T): T {
  const kernels = fusedKernels();
  const restore = () => {
    for (const kernel of kernels) tf.registerKernel(kernel);
  };
  for (const { kernelName, backendName } of kernels) tf.unregisterKernel(kernelName, backendName);
  let result: T | undefined;
  try {
    result = work();
    return result instanceof Promise ? (result.finally(restore) as T) : result;
  } finally {
    if (!(result instanceof Promise)) restore();
  }
}

/** The addon whose ops are running. */
export function fusedAddon(): FusedAddon {
  const tfjsNode = findTfjsNode().find(hasNativePart)!;
  return createRequire(import.meta.url)(fusedAddonPath(tfjsNode)!) as FusedAddon;
}

/** The instruction sets that the ops are written for. */
export const INSTRUCTION_SETS = ['plain', 'avx2', 'avx512', 'amx'] as const;

/** Of the instruction sets that the ops are written for, those that this processor has. */
export function instructionSets(): { readonly present: readonly string[]; readonly absent: readonly string[] } {
  const addon = fusedAddon();
  const before = addon.instructions();
  const has = (name: string) => {
    try {
      return addon.instructions(name) === name;
    } catch {
      return false;
    }
  };
  const present: readonly string[] = INSTRUCTION_SETS.filter(has);
  addon.instructions(before);
  return { present, absent: INSTRUCTION_SETS.filter((name) => !present.includes(name)) };
}
