import * as tf from '@tensorflow/tfjs-core';
import { toFloat32 } from '../checkpoint/dtypes.ts';
import type { StoredTensor, TensorArchive } from '../checkpoint/stored-tensor.ts';
import { readTensor } from '../device.ts';
import type { BlockRunner } from '../models/block.ts';
import type { TransformerSizes } from '../models/dit-config.ts';
import type { Shape } from '../shape.ts';
import { randomTensor } from './random-archive.ts';

/** All that another implementation needs to compute the same. */
export interface TorchCase {
  readonly task: 'block' | 'model' | 'image';
  readonly model: 'dit' | 'pixart';
  /** Sizes, and what else the task needs; goes through JSON. */
  readonly config: object;
  /** Weights by their names in a checkpoint, and inputs under `inputs.`; float32. */
  readonly tensors: readonly StoredTensor[];
}

/** What a bench repeats: the same weights and inputs each time, held in the backend. */
export interface Workload extends TorchCase {
  readonly task: 'block' | 'model';
  readonly config: TransformerSizes;
  /** How many of what is measured one run computes. */
  readonly count: number;
  /** @param runner of the blocks; default: all, in order @returns a fresh tensor, which may still be computing */
  run(runner?: BlockRunner): Promise<tf.Tensor>;
  dispose(): void;
}

const INPUTS = 'inputs.';

/** Named inputs of a workload: random ones, and such as are given. */
export class WorkloadInputs {
  readonly tensors: StoredTensor[] = [];
  private readonly held: tf.Tensor[] = [];

  /** Drawn anew for each name, the same each time. */
  async random<T extends tf.Tensor>(name: string, shape: Shape): Promise<T> {
    return this.hold(randomTensor(INPUTS + name, shape, 1_000_003 + this.tensors.length));
  }

  async given<T extends tf.Tensor>(name: string, shape: Shape, values: ArrayLike<number>): Promise<T> {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    return this.hold({ name: INPUTS + name, dtype: 'F32', shape, read: async () => bytes });
  }

  dispose(): void {
    tf.dispose(this.held);
  }

  private async hold<T extends tf.Tensor>(stored: StoredTensor): Promise<T> {
    const tensor = tf.tensor(toFloat32(await stored.read(), stored.dtype), [...stored.shape]);
    this.tensors.push(stored);
    this.held.push(tensor);
    return tensor as T;
  }
}

export function tensorsOf(archive: TensorArchive, inputs: WorkloadInputs): readonly StoredTensor[] {
  return [...archive.tensors.values(), ...inputs.tensors];
}

/** Milliseconds of one run until the backend has computed its result. */
export async function timeRun(workload: Workload): Promise<number> {
  const start = performance.now();
  const result = await workload.run();
  await computed(result);
  const elapsed = performance.now() - start;
  result.dispose();
  return elapsed;
}

/** Waits for a tensor by reading one number of it: a whole one would take its time to copy. */
export async function computed(tensor: tf.Tensor): Promise<void> {
  const one = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1));
  await readTensor(one);
  one.dispose();
}
