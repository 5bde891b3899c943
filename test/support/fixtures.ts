import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { PixelImage } from '../../src/pipelines/image.ts';
import { elementCount, type Shape } from '../../src/shape.ts';

/** What the original PyTorch code computed; written by test/fixtures/make_parity.py. */
export const PARITY = join(__dirname, '../fixtures/parity');

/** One tensor of a fixture as PyTorch laid it out; integers are exact as float32. */
export interface FixtureTensor {
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** A file of reference tensors, read whole. */
export class Fixture {
  constructor(
    private readonly tensors: ReadonlyMap<string, FixtureTensor>,
    readonly metadata: ReadonlyMap<string, string>,
  ) {}

  get(name: string): FixtureTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new Error(`no ${name} in the fixture; it has ${[...this.tensors.keys()].join(', ')}`);
    return tensor;
  }

  /** As it lies in the file. */
  tensor<T extends tf.Tensor>(name: string): T {
    const { shape, values } = this.get(name);
    return tf.tensor(values, [...shape], 'float32') as T;
  }

  /** An image or latent, channels last. */
  nhwc(name: string): tf.Tensor4D {
    return channelsLast(this.get(name));
  }

  /** Images or latents of several steps, [T,N,C,H,W] in the file: one tensor a step, channels last. */
  nhwcSteps(name: string): tf.Tensor4D[] {
    const { shape, values } = this.get(name);
    const size = elementCount(shape.slice(1));
    return Array.from({ length: shape[0] ?? 0 }, (_, step) =>
      channelsLast({ shape: shape.slice(1), values: values.subarray(step * size, (step + 1) * size) }),
    );
  }

  /** An 8-bit picture, [H,W,3] in the file. */
  picture(name: string): PixelImage {
    const { shape, values } = this.get(name);
    const [height = 0, width = 0] = shape;
    const data = new Uint8ClampedArray(4 * width * height).fill(255);
    values.forEach((value, i) => {
      data[4 * Math.floor(i / 3) + (i % 3)] = value;
    });
    return { width, height, data };
  }

  numbers(name: string): number[] {
    return Array.from(this.get(name).values);
  }
}

export async function readFixture(file: string): Promise<Fixture> {
  const archive = await openSafetensors(await fileSource(join(PARITY, file)));
  const tensors = new Map<string, FixtureTensor>();
  for (const { name, shape, dtype, read } of archive.tensors.values()) {
    tensors.set(name, { shape, values: toFloat32(await read(), dtype) });
  }
  await archive.close();
  return new Fixture(tensors, archive.metadata);
}

function channelsLast({ shape, values }: FixtureTensor): tf.Tensor4D {
  return tf.tidy(() => tf.transpose(tf.tensor<tf.Rank.R4>(values, [...shape] as Rank4, 'float32'), [0, 2, 3, 1]));
}

type Rank4 = [number, number, number, number];
