import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import { readTensor } from '../device.ts';
import { BackendError } from '../errors.ts';
import { type Shape, sameShape } from '../shape.ts';
import { TorchChild, type TorchOptions } from './torch-child.ts';
import type { TorchCase, Workload } from './workload.ts';

/** Another implementation of a workload, running beside ours. */
export interface Rival {
  readonly versions: string;
  /** Milliseconds of one run. */
  run(): Promise<number>;
  /** ‖ours − its‖ ÷ ‖its‖ of one result. @throws BackendError when they are of different shapes. */
  relativeL2(): Promise<number>;
  end(): void;
}

/** The numbers of a tensor. */
export interface Floats {
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** What one run of whole pictures took, in seconds, and what came of it. */
export interface PaintedRun {
  /** Wall time of the loop over all steps. */
  readonly sampling: number;
  /** Wall time of the autoencoder. */
  readonly decoding: number;
}

export interface PaintedFloats {
  /** After the last step [N,h,w,C]. */
  readonly latents: Floats;
  /** Decoded [N,H,W,3], nominally in [−1,1]. */
  readonly images: Floats;
}

/** Another implementation of whole pictures, running beside ours. */
export interface PictureRival {
  readonly versions: string;
  run(): Promise<PaintedRun>;
  /** Of the last run. */
  floats(): Promise<PaintedFloats>;
  end(): void;
}

/** How PyTorch is started. */
export type TorchStart = Omit<TorchOptions, 'caseFile'>;

/**
 * The same weights and inputs in PyTorch.
 * @param folder for files that are of no use later @throws BackendError as `TorchChild.start`
 */
export async function torchRival(workload: Workload, start: TorchStart, folder: string): Promise<Rival> {
  const child = await startCase(workload, start, folder);
  return {
    versions: child.versions,
    run: () => child.run(),
    relativeL2: async () => {
      const theirs = await resultOf(child, folder, 'output');
      const result = await workload.run();
      const ours = { shape: result.shape, values: Float32Array.from(await readTensor(result)) };
      result.dispose();
      return relativeDistance(ours, theirs);
    },
    end: () => child.end(),
  };
}

/** The same pictures in PyTorch. @param folder for files that are of no use later @throws as `torchRival` */
export async function torchPainter(pictures: TorchCase, start: TorchStart, folder: string): Promise<PictureRival> {
  const child = await startCase(pictures, start, folder);
  return {
    versions: child.versions,
    run: async () => {
      const { latents, output } = await child.runStages(['latents', 'output']);
      return { sampling: latents / 1000, decoding: output / 1000 };
    },
    floats: async () => {
      const latents = await resultOf(child, folder, 'latents');
      return { latents, images: await resultOf(child, folder, 'output') };
    },
    end: () => child.end(),
  };
}

/** ‖ours − theirs‖ ÷ ‖theirs‖ @throws BackendError when they are of different shapes */
export function relativeDistance(ours: Floats, theirs: Floats): number {
  if (!sameShape(ours.shape, theirs.shape) || ours.values.length !== theirs.values.length) {
    throw new BackendError(
      `PyTorch computes something else: its result is of [${theirs.shape.join(', ')}], ours of [${ours.shape.join(', ')}]`,
    );
  }
  let [difference, norm] = [0, 0];
  for (const [i, value] of theirs.values.entries()) {
    difference += ((ours.values[i] ?? 0) - value) ** 2;
    norm += value ** 2;
  }
  return Math.sqrt(difference / norm);
}

async function startCase(given: TorchCase, start: TorchStart, folder: string): Promise<TorchChild> {
  const caseFile = join(folder, 'case.safetensors');
  await writeCase(caseFile, given);
  return TorchChild.start({ ...start, caseFile });
}

async function writeCase(path: string, { task, model, config, tensors }: TorchCase): Promise<void> {
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

async function resultOf(child: TorchChild, folder: string, name: string): Promise<Floats> {
  const path = join(folder, name);
  const shape = await child.writeResult(path, name);
  const { buffer, byteOffset, byteLength } = await readFile(path);
  await rm(path);
  return { shape, values: new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)) };
}
