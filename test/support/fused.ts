import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { type FusedAddon, fusedAddonPath } from '../../src/backend/native/fused-addon.ts';
import { findTfjsNode, hasNativePart } from '../../src/backend/native/tfjs-node-package.ts';

/** The kernels of our own that the running backend has, by name. */
export function fusedKernels(): tf.KernelConfig[] {
  return tf.getKernelsForBackend(tf.getBackend()).filter(({ kernelName }) => kernelName.startsWith('DeltaDit'));
}

/** Runs `work` as on a backend that has no such kernels: every seat composes. */
export function composed<T>(work: () => T): T {
  const kernels = fusedKernels();
  for (const { kernelName, backendName } of kernels) tf.unregisterKernel(kernelName, backendName);
  try {
    return work();
  } finally {
    for (const kernel of kernels) tf.registerKernel(kernel);
  }
}

/** For all tests of the file or group that it is called in: the backend has no such kernels. */
export function withoutFusedKernels(): void {
  let kernels: tf.KernelConfig[] = [];
  beforeAll(() => {
    kernels = fusedKernels();
    for (const { kernelName, backendName } of kernels) tf.unregisterKernel(kernelName, backendName);
  });
  afterAll(() => {
    for (const kernel of kernels) tf.registerKernel(kernel);
  });
}

/** The addon whose ops are running. */
export function fusedAddon(): FusedAddon {
  const tfjsNode = findTfjsNode().find(hasNativePart)!;
  return createRequire(import.meta.url)(fusedAddonPath(tfjsNode)!) as FusedAddon;
}

/** Of the instruction sets that the ops are written for, those that this processor has. */
export function instructionSets(): { readonly present: string[]; readonly absent: string[] } {
  const addon = fusedAddon();
  const before = addon.instructions();
  const has = (name: string) => {
    try {
      return addon.instructions(name) === name;
    } catch {
      return false;
    }
  };
  const all = ['plain', 'avx2', 'avx512'];
  const present = all.filter(has);
  addon.instructions(before);
  return { present, absent: all.filter((name) => !present.includes(name)) };
}
