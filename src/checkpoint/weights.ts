import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../errors.ts';
import { type Shape, sameShape } from '../shape.ts';
import { toFloat32 } from './dtypes.ts';
import type { TensorArchive } from './stored-tensor.ts';

/** The parameters under one path of a checkpoint, as a layer sees them. */
export class WeightScope {
  constructor(
    private readonly weights: Weights,
    readonly path: string,
  ) {}

  at(name: string): WeightScope {
    return new WeightScope(this.weights, join(this.path, name));
  }

  /** Hands over a loaded tensor; the caller owns it. */
  take(name: string, shape: Shape): tf.Tensor {
    return this.weights.take(join(this.path, name), shape);
  }
}

/**
 * Tensors on their way from a checkpoint into layers. A tensor is read when its layer is about to be built and is
 * handed over as the layer is built, so at most one layer's weights exist twice.
 */
export class Weights {
  private readonly loaded = new Map<string, tf.Tensor>();

  constructor(private readonly archive: TensorArchive) {}

  scope(path = ''): WeightScope {
    return new WeightScope(this, path);
  }

  /**
   * Compares what a model needs with what the checkpoint holds, before anything is read.
   * @throws CheckpointError that lists missing, unexpected and wrong-shape tensors together.
   */
  expect(parameters: ReadonlyMap<string, Shape>): void {
    checkParameters(
      this.archive.name,
      parameters,
      new Map([...this.archive.tensors].map(([name, t]) => [name, t.shape])),
    );
  }

  /** Reads every tensor under `path`, in float32. */
  async load(path: string): Promise<void> {
    for (const tensor of this.archive.tensors.values()) {
      if (tensor.name !== path && !tensor.name.startsWith(`${path}.`)) continue;
      const values = toFloat32(await tensor.read(), tensor.dtype);
      const loaded = tf.tensor(values, [...tensor.shape], 'float32');
      this.loaded.set(tensor.name, loaded);
      handOver(loaded);
    }
  }

  /** @throws CheckpointError when the tensor is absent or of another shape. */
  take(key: string, shape: Shape): tf.Tensor {
    const tensor = this.loaded.get(key);
    if (!tensor) throw new CheckpointError(`${this.archive.name}: ${key} is not in the checkpoint; convert it again`);
    if (!sameShape(tensor.shape, shape)) {
      throw new CheckpointError(
        `${this.archive.name}: ${key}: expected [${shape.join(', ')}], got [${tensor.shape.join(', ')}]; convert it again`,
      );
    }
    this.loaded.delete(key);
    return tensor;
  }

  /** Frees what was loaded and never taken. The archive stays open: its opener closes it. */
  dispose(): void {
    for (const tensor of this.loaded.values()) tensor.dispose();
    this.loaded.clear();
  }
}

/**
 * Makes the backend take a tensor's values now. Native TensorFlow copies them when an op first needs them: after loading
 * a whole model the host would hold them all, and free them long after the backend has its own, so that a model would
 * take twice its size.
 */
function handOver(tensor: tf.Tensor): void {
  tf.tidy(() => {
    tf.slice(tf.reshape(tensor, [-1]), 0, Math.min(1, tensor.size));
  });
}

/** How many names an error lists before it only counts. */
const LISTED = 10;

/**
 * @throws CheckpointError listing what is missing, unexpected or of the wrong shape, together.
 */
export function checkParameters(
  where: string,
  expected: ReadonlyMap<string, Shape>,
  got: ReadonlyMap<string, Shape>,
): void {
  const missing = [...expected.keys()].filter((key) => !got.has(key));
  const unexpected = [...got.keys()].filter((key) => !expected.has(key));
  const wrong: string[] = [];
  for (const [key, shape] of expected) {
    const found = got.get(key);
    if (found && !sameShape(found, shape)) wrong.push(wrongShape(key, shape, found));
  }
  reportMismatch(where, { missing, unexpected, wrong });
}

/** How tensors differ from what a model needs; `wrong` names the shapes too. */
export interface Mismatch {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly wrong: readonly string[];
}

/** @throws CheckpointError when there is anything to report. */
export function reportMismatch(where: string, { missing, unexpected, wrong }: Mismatch): void {
  const parts = [
    ['missing', missing],
    ['unexpected', unexpected],
    ['of the wrong shape', wrong],
  ] as const;
  const report = parts
    .filter(([, keys]) => keys.length > 0)
    .map(([label, keys]) => `${keys.length} ${label}: ${listed(keys)}`);
  if (report.length > 0) {
    throw new CheckpointError(
      `${where}: the tensors do not make this model. ${report.join('. ')}. Check which model the file holds with "delta-dit inspect".`,
    );
  }
}

/** A tensor that was found with another shape, in words. */
export function wrongShape(key: string, expected: Shape, got: Shape): string {
  return `${key} (expected [${expected.join(', ')}], got [${got.join(', ')}])`;
}

function listed(keys: readonly string[]): string {
  const rest = keys.length - LISTED;
  return keys.slice(0, LISTED).join(', ') + (rest > 0 ? `, and ${rest} more` : '');
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
