import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { checkParameters } from '../src/checkpoint/weights.ts';
import { AUTOENCODER_ENCODER } from '../src/models/autoencoder-config.ts';
import type { Shape } from '../src/shape.ts';

/**
 * Compares the tensors of a component with what its model needs; the autoencoder's encoder may be there or not.
 * @throws CheckpointError listing missing, unexpected and wrong-shape tensors.
 */
export function checkModel(where: string, archive: TensorArchive, parameters: ReadonlyMap<string, Shape>): void {
  const needed = [...archive.tensors].filter(([name]) => !AUTOENCODER_ENCODER.test(name));
  checkParameters(where, parameters, new Map(needed.map(([name, { shape }]) => [name, shape])));
}
