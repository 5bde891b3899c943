import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { checkParameters } from '../src/checkpoint/weights.ts';
import { AUTOENCODER_ENCODER } from '../src/models/autoencoder-config.ts';
import type { Shape } from '../src/shape.ts';

/** For models whose tensors are all needed. */
export const NONE_OPTIONAL = /^$/;

/**
 * Compares the tensors of a component with what its model needs.
 * @param optional names of tensors that may be there or not, by default the autoencoder's encoder
 * @throws CheckpointError listing missing, unexpected and wrong-shape tensors.
 */
export function checkModel(
  where: string,
  archive: TensorArchive,
  parameters: ReadonlyMap<string, Shape>,
  optional: RegExp = AUTOENCODER_ENCODER,
): void {
  const needed = [...archive.tensors].filter(([name]) => !optional.test(name));
  checkParameters(where, parameters, new Map(needed.map(([name, { shape }]) => [name, shape])));
}
