import type { WeightDtype } from '../../checkpoint/hold.ts';
import { type BackendName, TFJS_VERSION } from '../backends/backend.ts';
import { CPU_DESCRIPTION } from '../backends/cpu.ts';
import { describeWasm } from '../backends/wasm.ts';
import { type ProbeOptions, probeBackend, probeTfjsNode } from '../native/probe.ts';
import { gpuSetUpCommand, setUpCommand } from '../native/set-up-command.ts';
import { findTfjsNode, hasNativePart, NAMES, type TfjsNodePackage } from '../native/tfjs-node-package.ts';
import type { AdapterAnswer } from '../webgpu/probe.ts';
import { type Finding, OK } from './finding.ts';
import { checkWebGPU } from './webgpu.ts';

export interface BackendCheck extends Finding {
  readonly backend: BackendName;
  /** The npm package that it comes from. */
  readonly package: string;
  /** Version and folder of that package, where it is installed. */
  readonly version?: string;
  readonly folder?: string;
  /** "TensorFlow 2.21.0, CPU", of one that works. */
  readonly description?: string;
  /** Version of the library that was loaded and does the arithmetic, of one that works. */
  readonly library?: string;
  /** Whether that library lists a GPU, or the adapter is one. */
  readonly gpu?: boolean;
  /** Of webgpu, where there is one. */
  readonly adapter?: AdapterAnswer;
  /** How webgpu holds weights. */
  readonly dtypes?: readonly WeightDtype[];
}

/**
 * Lets each backend compute in a process of its own, within a time limit; in the order in which they are chosen, and last
 * the one that is chosen by name only.
 */
export async function checkBackends(userFolder: string, options: ProbeOptions): Promise<BackendCheck[]> {
  const installed = findTfjsNode(userFolder);
  const native = NAMES.flatMap((name): (BackendCheck | Promise<BackendCheck>)[] => {
    const copies = installed.filter((candidate) => candidate.name === name);
    return copies.length > 0 ? copies.map((copy) => checkTfjsNode(copy, options)) : [notInstalled(name)];
  });
  return Promise.all([...native, checkWasm(options), checkCpu(options), checkWebGPU(options)]);
}

/** Adds what to do where a TensorFlow is missing that this machine could use. */
export function withFixes(checks: readonly BackendCheck[], hasNvidia: boolean): BackendCheck[] {
  const anyNative = checks.some(({ backend, status }) => backend === 'tensorflow' && status === 'ok');
  const anyGpu = checks.some(({ backend, gpu }) => backend === 'tensorflow' && gpu);
  return checks.map((check) => {
    if (check.status !== 'absent' || check.backend !== 'tensorflow') return check;
    const isForGpu = check.package.endsWith('-gpu');
    const isWanted = isForGpu ? hasNvidia && !anyGpu : !anyNative;
    const command = isForGpu ? gpuSetUpCommand() : setUpCommand(undefined);
    return isWanted && command ? { ...check, fix: `Run \`${command}\`.` } : check;
  });
}

function notInstalled(name: string): BackendCheck {
  return { backend: 'tensorflow', package: name, status: 'absent', problem: 'is not installed' };
}

async function checkTfjsNode(copy: TfjsNodePackage, options: ProbeOptions): Promise<BackendCheck> {
  const { name, version, folder } = copy;
  const about = { backend: 'tensorflow', package: name, version, folder } as const;
  if (version !== TFJS_VERSION) {
    const problem = `is version ${version}, and delta-dit needs ${TFJS_VERSION}`;
    const install = `npm install --ignore-scripts ${name}@${TFJS_VERSION}`;
    return { ...about, status: 'failed', problem, fix: `Run \`${install} && ${commandFor(name)}\`.` };
  }
  if (!hasNativePart(copy)) {
    return { ...about, status: 'failed', problem: 'has no native part yet', fix: `Run \`${commandFor(name)}\`.` };
  }
  const probe = await probeTfjsNode(copy, options);
  if (!probe.works) {
    const fix = probe.reason.includes('AVX') ? 'Use the backend wasm.' : `Run \`${commandFor(name)}\`.`;
    return { ...about, status: 'failed', problem: `does not work: ${probe.reason}`, fix };
  }
  const { tensorflow, gpu } = probe;
  const description = `TensorFlow ${tensorflow}, ${gpu ? 'GPU' : 'CPU'}`;
  return { ...about, ...OK, description, library: tensorflow, gpu };
}

function commandFor(name: string): string {
  return (name.endsWith('-gpu') ? gpuSetUpCommand() : undefined) ?? setUpCommand(name);
}

async function checkWasm(options: ProbeOptions): Promise<BackendCheck> {
  const about = { backend: 'wasm', package: '@tensorflow/tfjs-backend-wasm' } as const;
  const probe = await probeBackend('wasm', options);
  if (!probe.works) return { ...about, ...broken(probe.reason) };
  const { version, simd = false, threads = 1 } = probe;
  return { ...about, ...OK, version, description: describeWasm(simd, threads), library: version, gpu: false };
}

async function checkCpu(options: ProbeOptions): Promise<BackendCheck> {
  const about = { backend: 'cpu', package: '@tensorflow/tfjs-backend-cpu' } as const;
  const probe = await probeBackend('cpu', options);
  if (!probe.works) return { ...about, ...broken(probe.reason) };
  const { version } = probe;
  return { ...about, ...OK, version, description: CPU_DESCRIPTION, library: version, gpu: false };
}

function broken(reason: string): Finding {
  return {
    status: 'failed',
    problem: `does not work: ${reason}`,
    fix: 'It comes with delta-dit: install delta-dit again.',
  };
}
