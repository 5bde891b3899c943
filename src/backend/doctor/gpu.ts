import { type findNvidia, type NvidiaGpu, OLDEST_DRIVER } from '../native/nvidia.ts';
import { gpuLog, type ProbeOptions } from '../native/probe.ts';
import { gpuSetUpCommand } from '../native/set-up-command.ts';
import type { BackendCheck } from './backends.ts';
import { type Finding, OK } from './finding.ts';

export interface GpuCheck extends Finding {
  /** Whether a TensorFlow that works lists a GPU. */
  readonly listed: boolean;
  /** NVIDIA's driver, "550.54.15"; absent where there is none. */
  readonly driver?: string;
  /** What nvidia-smi lists. */
  readonly gpus: readonly NvidiaGpu[];
  /** What TensorFlow writes about GPUs, where it is made for them and lists none. */
  readonly log: readonly string[];
}

export type Nvidia = Awaited<ReturnType<typeof findNvidia>>;

/** @param backends as probed @param nvidia the driver, where there is one */
export async function checkGpu(
  backends: readonly BackendCheck[],
  nvidia: Nvidia,
  options: ProbeOptions,
): Promise<GpuCheck> {
  const listed = backends.some(({ backend, gpu }) => backend === 'tensorflow' && gpu);
  const forGpu = backends.find(({ package: name, status }) => name.endsWith('-gpu') && status === 'ok');
  const folder = listed ? undefined : forGpu?.folder;
  const log = folder === undefined ? [] : await gpuLog({ folder }, options);
  const about = { listed, gpus: nvidia?.gpus ?? [], log, ...(nvidia?.driver && { driver: nvidia.driver }) };
  return { ...about, ...(listed ? OK : verdict(nvidia, folder !== undefined, log)) };
}

function verdict(nvidia: Nvidia, isMadeForGpus: boolean, log: readonly string[]): Finding {
  if (!nvidia) return { status: 'absent', problem: 'there is no NVIDIA driver' };
  const { driver, gpus } = nvidia;
  if (driver !== undefined && Number.parseInt(driver, 10) < OLDEST_DRIVER) {
    const problem = `NVIDIA's driver ${driver} is too old for CUDA 12`;
    return { status: 'warning', problem, fix: `Update the driver to ${OLDEST_DRIVER} or newer.` };
  }
  if (gpus.length === 0) {
    const fix = 'Run `nvidia-smi`: it must list the GPU. A container is given its GPU with `--gpus all`.';
    return { status: 'warning', problem: "NVIDIA's driver is there, but lists no GPU", fix };
  }
  const command = gpuSetUpCommand();
  const fix = command ? { fix: `Run \`${command}\`.` } : {};
  if (!isMadeForGpus) return { status: 'warning', problem: 'no TensorFlow uses it', ...fix };
  const reason = log.at(-1) ?? 'it does not say why';
  return { status: 'warning', problem: `TensorFlow does not list it: ${reason}`, ...fix };
}
