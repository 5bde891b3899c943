import type { layers } from '@tensorflow/tfjs-layers';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { Weights } from '../checkpoint/weights.ts';
import type { Parametrised } from '../layers/parameter-layer.ts';
import { elementCount, type Shape } from '../shape.ts';

/** A layer of a model and its path in the checkpoint. */
export interface ModelPart {
  readonly path: string;
  readonly layer: layers.Layer & Parametrised;
}

/** Parameter name → shape of all parts. */
export function parameterShapesOf(parts: readonly ModelPart[]): ReadonlyMap<string, Shape> {
  return new Map(
    parts.flatMap(({ path, layer }) => [...layer.parameterShapes()].map(([name, shape]) => [`${path}.${name}`, shape])),
  );
}

/** Bytes of the parameters of all parts, held as `dtype` where they may be. */
export function weightBytesOf(parts: readonly ModelPart[], dtype: WeightDtype = 'float32'): number {
  let bytes = 0;
  for (const { layer } of parts) {
    const halvable = layer.halvableParameters();
    for (const [name, shape] of layer.parameterShapes())
      bytes += elementCount(shape) * (dtype !== 'float32' && halvable.has(name) ? 2 : 4);
  }
  return bytes;
}

/** Reads a part's own parameters, and nothing else that may lie under its path, and builds it. */
export async function buildPart({ path, layer }: ModelPart, weights: Weights): Promise<void> {
  const names = [...layer.parameterShapes().keys()];
  const halvable = layer.halvableParameters();
  for (const name of names) await weights.load(`${path}.${name}`, halvable.has(name) ? weights.dtype : 'float32');
  layer.build([]);
}

/** Reads and builds part by part, so that only one part's weights are held twice. Frees everything when one fails. */
export async function buildParts(parts: readonly ModelPart[], weights: Weights): Promise<void> {
  weights.announce([...parameterShapesOf(parts).keys()]);
  try {
    for (const part of parts) await buildPart(part, weights);
  } catch (error) {
    disposeParts(parts);
    throw error;
  }
}

export function disposeParts(parts: readonly ModelPart[]): void {
  for (const { layer } of parts) layer.disposeWeights();
}
