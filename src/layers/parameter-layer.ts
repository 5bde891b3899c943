import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { type LayerVariable, layers } from '@tensorflow/tfjs-layers';
import { type WeightDtype, widen, widenRows } from '../checkpoint/hold.ts';
import type { WeightScope } from '../checkpoint/weights.ts';
import { CheckpointError } from '../errors.ts';
import { elementCount, type Shape } from '../shape.ts';

/** What `Layer.addWeight` takes: an initialiser that hands over a stored tensor instead of drawing one. */
class FromCheckpoint extends serialization.Serializable {
  static readonly className = 'FromCheckpoint';

  constructor(
    private readonly tensor: tf.Tensor,
    private readonly parameter: string,
  ) {
    super();
  }

  // addWeight makes a variable that shares the tensor's memory, then disposes the tensor
  apply(): tf.Tensor {
    return this.tensor;
  }

  getConfig(): serialization.ConfigDict {
    return { parameter: this.parameter };
  }

  fromConfigUsesCustomObjects(): boolean {
    return false;
  }
}

/** A layer whose parameters have names and shapes that are known before it is built. */
export interface Parametrised {
  /** Path relative to the layer → shape. */
  parameterShapes(): ReadonlyMap<string, Shape>;
  /** Of these, what may be held in 16 bits: kernels and embedding tables whose last axis is even. */
  halvableParameters(): ReadonlySet<string>;
  /** Frees the weights that are held, at whatever state of building; the number freed, 0 the second time. */
  disposeWeights(): number;
}

interface HeldVariable {
  readonly variable: LayerVariable;
  readonly dtype: WeightDtype;
}

/**
 * A leaf layer: its own parameters, no sub-layers. Built from a checkpoint when `stored` is given.
 */
export abstract class ParameterLayer extends layers.Layer implements Parametrised {
  private readonly held = new Map<string, HeldVariable>();

  /**
   * @param config what `getConfig` gives back
   * @param shapes parameter name → shape
   * @param stored where the parameters are read from; without it `build` fails, as weights are never drawn at random
   * @param halvable the parameter that may be held in 16 bits where its last axis is even, if there is one
   */
  protected constructor(
    private readonly config: serialization.ConfigDict,
    private readonly shapes: Readonly<Record<string, Shape>>,
    private readonly stored?: WeightScope,
    private readonly halvable?: string,
  ) {
    super({ trainable: false });
  }

  parameterShapes(): ReadonlyMap<string, Shape> {
    return new Map(Object.entries(this.shapes));
  }

  halvableParameters(): ReadonlySet<string> {
    const { halvable } = this;
    const columns = halvable === undefined ? undefined : this.shapes[halvable]?.at(-1);
    return new Set(halvable !== undefined && columns !== undefined && columns % 2 === 0 ? [halvable] : []);
  }

  override countParams(): number {
    return elementCountOf(this.parameterShapes());
  }

  override build(): void {
    if (this.built) return;
    const { stored } = this;
    if (!stored) {
      throw new CheckpointError(
        `${this.getClassName()}: no weights to build from; pass the checkpoint's WeightScope to its constructor`,
      );
    }
    for (const [name, shape] of Object.entries(this.shapes)) {
      const { tensor, dtype } = stored.take(name, shape);
      const initialiser = new FromCheckpoint(tensor, name);
      // of another type than the tensor's own, it would be cast
      const variable = this.addWeight(name, [...shape], tensor.dtype, initialiser, undefined, false);
      this.held.set(name, { variable, dtype });
    }
    this.built = true;
  }

  /** The value of a parameter, borrowed. */
  protected parameter<T extends tf.Tensor>(name: string): T {
    return this.heldVariable(name).variable.read() as T;
  }

  protected dtypeOf(name: string): WeightDtype {
    return this.heldVariable(name).dtype;
  }

  /** Calls `use` with the value of a parameter in float32; one that is held in 16 bits is so for this call alone. */
  protected inFloat32<T extends tf.Tensor, R extends tf.TensorContainer>(name: string, use: (value: T) => R): R {
    const dtype = this.dtypeOf(name);
    if (dtype === 'float32') return use(this.parameter(name));
    return tf.tidy(() => use(widen<T>(this.parameter(name), dtype)));
  }

  /** Rows of an embedding table in float32. @param indices [...] int32 @returns [...,D] */
  protected rows<T extends tf.Tensor>(name: string, indices: tf.Tensor): T {
    const dtype = this.dtypeOf(name);
    if (dtype === 'float32') return tf.gather(this.parameter(name), indices) as T;
    return widenRows(this.parameter(name), indices, dtype);
  }

  private heldVariable(name: string): HeldVariable {
    const held = this.held.get(name);
    if (!held) throw new CheckpointError(`${this.getClassName()}.${name} was used before build() or after dispose()`);
    return held;
  }

  override disposeWeights(): number {
    const count = this.held.size;
    for (const { variable } of this.held.values()) variable.dispose();
    this.held.clear();
    return count;
  }

  override dispose(): { refCountAfterDispose: number; numDisposedVariables: number } {
    return { refCountAfterDispose: 0, numDisposedVariables: this.disposeWeights() };
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config };
  }
}

/** As tfjs counts parameters, whose own count would take 16-bit weights for half as many. */
export function elementCountOf(shapes: ReadonlyMap<string, Shape>): number {
  return [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
}
