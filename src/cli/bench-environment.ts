import { availableParallelism, cpus } from 'node:os';
import { version_core } from '@tensorflow/tfjs-core';
import { useBackend } from '../index.ts';
import { packageVersion } from './package-folder.ts';

/** Variables that say how many threads TensorFlow takes; unset, it takes one a CPU. */
const THREAD_VARIABLES = ['OMP_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS'];

/** What a time was measured on. */
export interface BenchEnvironment {
  /** Such as "TensorFlow 2.21.0, CPU". */
  readonly backend: string;
  readonly gpu: boolean;
  readonly cpu: string;
  /** CPUs that this process may use. */
  readonly cpus: number;
  /** Those of the variables above that are set. */
  readonly threads: Readonly<Record<string, string>>;
  readonly platform: string;
  readonly versions: { readonly 'delta-dit': string; readonly tfjs: string; readonly node: string };
}

/** Of the backend that is running. */
export async function benchEnvironment(): Promise<BenchEnvironment> {
  const { description, gpu } = await useBackend();
  const set = THREAD_VARIABLES.flatMap((name): [string, string][] => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    backend: description,
    gpu,
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cpus: availableParallelism(),
    threads: Object.fromEntries(set),
    platform: `${process.platform} ${process.arch}`,
    versions: { 'delta-dit': packageVersion(), tfjs: version_core, node: process.versions.node },
  };
}

export function environmentLine({ backend, cpu, cpus: count, threads, platform, versions }: BenchEnvironment): string {
  const set = Object.entries(threads).map(([name, value]) => `, ${name}=${value}`);
  return (
    `${backend}; ${cpu}, ${count} ${count === 1 ? 'CPU' : 'CPUs'}${set.join('')}; ${platform}; ` +
    `Node ${versions.node}, tfjs ${versions.tfjs}, delta-dit ${versions['delta-dit']}`
  );
}
