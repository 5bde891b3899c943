import type * as tf from '@tensorflow/tfjs-core';
import { assertTensorsFit, settleDevice } from '../device.ts';
import { CheckpointError } from '../errors.ts';
import { type Shape, sameShape } from '../shape.ts';
import { assertHolds, convertsElements, holdTensor, outOfMemory, type WeightDtype } from './hold.ts';
import { ReadAhead } from './read-ahead.ts';
import type { StoredTensor, TensorArchive } from './stored-tensor.ts';

/** A parameter in memory. */
export interface HeldTensor {
  /** Half as wide as its shape where it is held in 16 bits. */
  readonly tensor: tf.Tensor;
  readonly dtype: WeightDtype;
}

/** The parameters under one path of a checkpoint, as a layer sees them. */
export class WeightScope {
  constructor(
    private readonly weights: Weights,
    readonly path: string,
  ) {}

  at(name: string): WeightScope {
    return new WeightScope(this.weights, join(this.path, name));
  }

  /** Hands over a loaded tensor, which the caller owns. */
  take(name: string, shape: Shape): HeldTensor {
    return this.weights.take(join(this.path, name), shape);
  }
}

/**
 * Tensors on their way from a checkpoint into layers. A tensor is read when its layer is about to be built and is
 * handed over as the layer is built, so at most one layer's weights exist twice.
 */
export class Weights {
  private readonly loaded = new Map<string, HeldTensor & { readonly shape: Shape }>();
  private readonly reading = new ReadAhead(convertsElements());

  /**
   * @param dtype of what may be held in 16 bits (see `Parametrised.halvableParameters`); the rest is float32
   * @throws BackendError when the running backend cannot hold it.
   */
  constructor(
    private readonly archive: TensorArchive,
    readonly dtype: WeightDtype = 'float32',
  ) {
    assertHolds(dtype);
  }

  scope(path = ''): WeightScope {
    return new WeightScope(this, path);
  }

  /**
   * Compares what a model needs with what the checkpoint holds, before anything is read.
   * @throws CheckpointError that lists missing, unexpected and wrong-shape tensors together; BackendError when one is
   * larger than what the device can hold.
   */
  expect(parameters: ReadonlyMap<string, Shape>): void {
    checkParameters(
      this.archive.name,
      parameters,
      new Map([...this.archive.tensors].map(([name, t]) => [name, t.shape])),
    );
    assertTensorsFit(this.archive.name, parameters);
  }

  /** Says which tensors will be loaded, in that order, so that the next are read while one is handed over. */
  announce(names: readonly string[]): void {
    this.reading.announce(names.map((name) => this.archive.tensors.get(name)).filter((tensor) => tensor !== undefined));
  }

  /**
   * Reads every tensor under `path`.
   * @param held of 16 bits only where their last axis is even
   * @throws BackendError, or of a device DeviceError, when there is no memory for them; what was loaded before stays until
   * `dispose`.
   */
  async load(path: string, held: WeightDtype = 'float32'): Promise<void> {
    const exact = this.archive.tensors.get(path);
    const below = exact
      ? [exact]
      : [...this.archive.tensors.values()].filter(({ name }) => name.startsWith(`${path}.`));
    for (const tensor of below) await this.loadTensor(tensor, held);
    await settleDevice();
  }

  private async loadTensor(stored: StoredTensor, held: WeightDtype): Promise<void> {
    const { name, shape } = stored;
    try {
      const tensor = await holdTensor(stored, held, this.reading);
      this.loaded.set(name, { tensor, dtype: held, shape });
    } catch (cause) {
      throw outOfMemory(`${this.archive.name}: ${name}`, stored, held, cause) ?? cause;
    }
  }

  /** @throws CheckpointError when the tensor is absent or of another shape. */
  take(key: string, expected: Shape): HeldTensor {
    const loaded = this.loaded.get(key);
    if (!loaded) throw new CheckpointError(`${this.archive.name}: ${key} is not in the checkpoint; convert it again`);
    const { tensor, dtype, shape } = loaded;
    if (!sameShape(shape, expected)) {
      throw new CheckpointError(
        `${this.archive.name}: ${key}: expected [${expected.join(', ')}], got [${shape.join(', ')}]; convert it again`,
      );
    }
    this.loaded.delete(key);
    return { tensor, dtype };
  }

  /** Frees what was loaded and never taken. The archive stays open: its opener closes it. */
  dispose(): void {
    for (const { tensor } of this.loaded.values()) tensor.dispose();
    this.loaded.clear();
  }
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
