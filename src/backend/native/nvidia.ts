import { readFile } from 'node:fs/promises';
import { runTool } from './run-tool.ts';

export interface NvidiaGpu {
  readonly name: string;
  readonly memoryBytes: number;
}

/** What NVIDIA's driver says of this machine. */
export interface Nvidia {
  /** "550.54.15"; undefined where it cannot be told. */
  readonly driver: string | undefined;
  readonly gpus: readonly NvidiaGpu[];
}

/** Drivers from here on run every CUDA 12 (CUDA compatibility guide, "minor version compatibility"). */
export const OLDEST_DRIVER = 525;

/** Undefined where there is no driver. */
export async function findNvidia(signal?: AbortSignal): Promise<Nvidia | undefined> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader,nounits'];
  const run = await runTool('nvidia-smi', query, { signal, timeLimit: 20_000 });
  if (run.ok) return parseNvidiaSmi(run.stdout);
  const driver = await kernelDriver();
  return run.found || driver ? { driver, gpus: [] } : undefined;
}

/** @param text a line a GPU: name, memory in MiB, version of the driver */
export function parseNvidiaSmi(text: string): Nvidia {
  const rows = text
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter((fields) => fields.length === 3);
  return {
    driver: rows[0]?.[2],
    gpus: rows.map(([name = '', memory]) => ({ name, memoryBytes: Number(memory) * 2 ** 20 })),
  };
}

/** The kernel's part of the driver is there without nvidia-smi, too, as in some containers. */
async function kernelDriver(): Promise<string | undefined> {
  const text = await readFile('/proc/driver/nvidia/version', 'utf8').catch(() => '');
  return /\b(\d{3,}\.[\d.]+\d)\b/.exec(text)?.[1];
}
