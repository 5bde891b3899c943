import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import { BackendError } from '../errors.ts';
import { sameShape } from '../shape.ts';
import { TorchChild, type TorchOptions } from './torch-child.ts';
import type { Workload } from './workload.ts';

/** Another implementation of a workload, running beside ours. */
export interface Rival {
  readonly versions: string;
  /** Milliseconds of one run. */
  run(): Promise<number>;
  /** ‖ours − its‖ ÷ ‖its‖ of one result. @throws BackendError when they are of different shapes. */
  relativeL2(): Promise<number>;
  end(): void;
}

/**
 * The same weights and inputs in PyTorch.
 * @param folder for files that are of no use later @throws BackendError as `TorchChild.start`
 */
export async function torchRival(
  workload: Workload,
  options: Omit<TorchOptions, 'caseFile'>,
  folder: string,
): Promise<Rival> {
  const caseFile = join(folder, 'case.safetensors');
  await writeCase(caseFile, workload);
  const child = await TorchChild.start({ ...options, caseFile });
  return {
    versions: child.versions,
    run: () => child.run(),
    relativeL2: async () => {
      const output = join(folder, 'output');
      const shape = await child.writeOutput(output);
      const theirs = floats(await readFile(output));
      await rm(output);
      return distance(workload, theirs, shape);
    },
    end: () => child.end(),
  };
}

async function writeCase(path: string, { task, model, config, tensors }: Workload): Promise<void> {
  const file = await open(path, 'w');
  try {
    const metadata = new Map([...Object.entries({ task, model }), ['config', JSON.stringify(config)] as const]);
    const write = async (bytes: Uint8Array) => {
      await file.writeFile(bytes); // goes on where the last piece ended
    };
    await writeSafetensors(write, tensors, metadata);
  } finally {
    await file.close();
  }
}

async function distance(workload: Workload, theirs: Float32Array, shape: readonly number[]): Promise<number> {
  const result = await workload.run();
  const ours = await result.data();
  result.dispose();
  if (!sameShape(result.shape, shape) || theirs.length !== ours.length) {
    throw new BackendError(
      `PyTorch computes something else: its result is of [${shape.join(', ')}], ours of [${result.shape.join(', ')}]`,
    );
  }
  return relativeDistance(ours, theirs);
}

/** ‖a − b‖ ÷ ‖b‖ */
function relativeDistance(a: ArrayLike<number>, b: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (const [i, value] of b.entries()) {
    difference += ((a[i] ?? 0) - value) ** 2;
    norm += value ** 2;
  }
  return Math.sqrt(difference / norm);
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
