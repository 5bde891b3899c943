import { type LayerVariable, layers } from '@tensorflow/tfjs-layers';
import type { Shape } from '../shape.ts';
import { elementCountOf, type Parametrised } from './parameter-layer.ts';

type ChildLayer = layers.Layer & Parametrised;

/**
 * A layer made of layers. tfjs' own Layer reports no weights of layers it holds and disposes none of them, and its
 * `dispose` throws after an explicit `build` followed by `apply`; this one does both, as often as it is called.
 */
export abstract class Composite extends layers.Layer implements Parametrised {
  private readonly children = new Map<string, ChildLayer>();

  protected constructor() {
    super({ trainable: false });
  }

  /** Registers a sub-layer under its name in the checkpoint; an empty name: its parameters stand beside those names. */
  protected child<L extends ChildLayer>(name: string, layer: L): L {
    this.children.set(name, layer);
    return layer;
  }

  parameterShapes(): ReadonlyMap<string, Shape> {
    const shapes = new Map<string, Shape>();
    for (const [name, layer] of this.children) {
      for (const [path, shape] of layer.parameterShapes()) shapes.set(name === '' ? path : `${name}.${path}`, shape);
    }
    return shapes;
  }

  halvableParameters(): ReadonlySet<string> {
    const names = [...this.children].flatMap(([name, layer]) =>
      [...layer.halvableParameters()].map((path) => (name === '' ? path : `${name}.${path}`)),
    );
    return new Set(names);
  }

  override countParams(): number {
    return elementCountOf(this.parameterShapes());
  }

  override build(): void {
    if (this.built) return;
    for (const layer of this.children.values()) layer.build([]);
    this.built = true;
  }

  override get trainableWeights(): LayerVariable[] {
    return [];
  }

  override get nonTrainableWeights(): LayerVariable[] {
    return [...this.children.values()].flatMap((layer) => layer.weights);
  }

  override get weights(): LayerVariable[] {
    return this.nonTrainableWeights;
  }

  override disposeWeights(): number {
    let count = 0;
    for (const layer of this.children.values()) count += layer.disposeWeights();
    return count;
  }

  override dispose(): { refCountAfterDispose: number; numDisposedVariables: number } {
    return { refCountAfterDispose: 0, numDisposedVariables: this.disposeWeights() };
  }
}
