import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { type LayerVariable, layers } from '@tensorflow/tfjs-layers';
import { type WeightDtype, widenBfloat16, widenBfloat16Rows } from '../checkpoint/hold.ts';
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
  /** Of these, what may be held as bfloat16: kernels and embedding tables whose last axis is even. */
  bfloat16Parameters(): ReadonlySet<string>;
  /** Frees the weights that are held, at whatever state of building; the number freed, 0 the second time. */
  disposeWeights(): number;
}

/**
 * A leaf layer: its own parameters, no sub-layers. Built from a checkpoint when `stored` is given.
 */
export abstract class ParameterLayer extends layers.Layer implements Parametrised {
  private readonly variables = new Map<string, LayerVariable>();

  /**
   * @param config what `getConfig` gives back
   * @param shapes parameter name → shape
   * @param stored where the parameters are read from; without it `build` fails, as weights are never drawn at random
   * @param reducible the parameter that may be held as bfloat16, where there is one
   */
  protected constructor(
    private readonly config: serialization.ConfigDict,
    private readonly shapes: Readonly<Record<string, Shape>>,
    private readonly stored?: WeightScope,
    private readonly reducible?: string,
  ) {
    super({ trainable: false });
  }

  parameterShapes(): ReadonlyMap<string, Shape> {
    return new Map(Object.entries(this.shapes));
  }

  bfloat16Parameters(): ReadonlySet<string> {
    const { reducible } = this;
    const columns = reducible === undefined ? undefined : this.shapes[reducible]?.at(-1);
    return new Set(reducible !== undefined && columns !== undefined && columns % 2 === 0 ? [reducible] : []);
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
      const tensor = stored.take(name, shape);
      const initialiser = new FromCheckpoint(tensor, name);
      // of another type than the tensor's own, it would be cast
      this.variables.set(name, this.addWeight(name, [...shape], tensor.dtype, initialiser, undefined, false));
    }
    this.built = true;
  }

  /** The value of a parameter, borrowed. */
  protected parameter<T extends tf.Tensor>(name: string): T {
    const variable = this.variables.get(name);
    if (!variable)
      throw new CheckpointError(`${this.getClassName()}.${name} was used before build() or after dispose()`);
    return variable.read() as T;
  }

  /** How a parameter is held: as bfloat16 it is half as wide as its shape. */
  protected dtypeOf(name: string): WeightDtype {
    return this.parameter(name).shape.at(-1) === this.shapes[name]?.at(-1) ? 'float32' : 'bfloat16';
  }

  /** Calls `use` with the value of a parameter in float32; one that is held as bfloat16 is so for this call alone. */
  protected inFloat32<T extends tf.Tensor, R extends tf.TensorContainer>(name: string, use: (value: T) => R): R {
    if (this.dtypeOf(name) === 'float32') return use(this.parameter(name));
    return tf.tidy(() => use(widenBfloat16<T>(this.parameter(name))));
  }

  /** Rows of an embedding table in float32. @param indices [...] int32 @returns [...,D] */
  protected rows<T extends tf.Tensor>(name: string, indices: tf.Tensor): T {
    if (this.dtypeOf(name) === 'float32') return tf.gather(this.parameter(name), indices) as T;
    return widenBfloat16Rows(this.parameter(name), indices);
  }

  override disposeWeights(): number {
    const count = this.variables.size;
    for (const variable of this.variables.values()) variable.dispose();
    this.variables.clear();
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
