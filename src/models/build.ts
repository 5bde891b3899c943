import type { layers } from '@tensorflow/tfjs-layers';
import type { Weights } from '../checkpoint/weights.ts';
import type { Parametrised } from '../layers/parameter-layer.ts';
import type { Shape } from '../shape.ts';

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

/** Reads a part's own parameters, and nothing else that may lie under its path, and builds it. */
export async function buildPart({ path, layer }: ModelPart, weights: Weights): Promise<void> {
  for (const name of layer.parameterShapes().keys()) await weights.load(`${path}.${name}`);
  layer.build([]);
}

/** Reads and builds part by part, so that only one part's weights are held twice. Frees everything when one fails. */
export async function buildParts(parts: readonly ModelPart[], weights: Weights): Promise<void> {
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
