import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { WASM_HEAP_BYTES } from '../backends/wasm.ts';
import { freeSpace } from '../native/setup-tools.ts';
import { type Finding, OK } from './finding.ts';

export interface MemoryCheck extends Finding {
  readonly totalBytes: number;
  /** What can be had without swapping, the limit of a container counted in. */
  readonly availableBytes: number;
  /** The limit of a container (cgroup), where there is one below the machine's memory. */
  readonly limitBytes?: number;
  /** The most that the backend wasm can use of it, weights and activations together: addresses have 32 bits. */
  readonly wasmBytes: number;
}

export function checkMemory(): MemoryCheck {
  const totalBytes = totalmem();
  const limit = process.constrainedMemory();
  return {
    totalBytes,
    availableBytes: process.availableMemory(),
    ...(limit > 0 && limit < totalBytes && { limitBytes: limit }),
    wasmBytes: WASM_HEAP_BYTES,
    ...OK,
  };
}

export interface ProcessorCheck extends Finding {
  readonly model: string;
  /** Threads that this process may run at once. */
  readonly cores: number;
  /** Of the instruction sets that matrices profit from, those it has, as Linux names them; empty elsewhere. */
  readonly instructions: readonly string[];
}

/** For x64: AVX, 16-bit and 8-bit dot products, tiles; for arm64 their like. */
const INSTRUCTIONS =
  /^(avx|avx2|fma|avx_vnni|avx512f|avx512_vnni|avx512_bf16|avx512_fp16|amx_(tile|bf16|int8|fp16)|asimd|asimdhp|asimddp|bf16|i8mm|sve|sve2)$/;

export async function checkProcessor(): Promise<ProcessorCheck> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const instructions = parseInstructions(text);
  const model = cpus()[0]?.model.trim() || process.arch;
  return { model, cores: availableParallelism(), instructions, ...verdict(process.arch, text, instructions) };
}

/** @param text /proc/cpuinfo */
export function parseInstructions(text: string): string[] {
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1] ?? '';
  return flags.split(/\s+/).filter((flag) => INSTRUCTIONS.test(flag));
}

function verdict(arch: string, text: string, instructions: readonly string[]): Finding {
  const lacksAvx = arch === 'x64' && /^flags\s*:/m.test(text) && !instructions.includes('avx');
  return lacksAvx ? { status: 'warning', problem: 'TensorFlow needs AVX', fix: 'Use the backend wasm.' } : OK;
}

export interface DiskCheck extends Finding {
  readonly purpose: 'native parts' | 'current folder';
  readonly folder: string;
  readonly freeBytes: number;
}

/** Below this, pictures still fit, but hardly a checkpoint. */
const LITTLE_SPACE = 1e9;

export async function checkDisk(purpose: DiskCheck['purpose'], folder: string): Promise<DiskCheck> {
  const freeBytes = await freeSpace(folder);
  const finding: Finding =
    freeBytes < LITTLE_SPACE
      ? { status: 'warning', problem: 'less than 1 GB is free', fix: 'Free some space on that disk.' }
      : OK;
  return { purpose, folder, freeBytes, ...finding };
}
