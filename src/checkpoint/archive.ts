import type { WeightDtype } from './hold.ts';
import type { TensorArchive } from './stored-tensor.ts';
import { Weights } from './weights.ts';

/** The tensors of an archive whose names pass; closing it is left to the archive's opener. */
export function pickTensors(archive: TensorArchive, keep: (name: string) => boolean): TensorArchive {
  const tensors = new Map([...archive.tensors].filter(([name]) => keep(name)));
  return { name: archive.name, metadata: archive.metadata, tensors, close: async () => {} };
}

/** Several archives as one; a name that stands in two of them is the later one's. Closing it closes all. */
export function joinArchives(name: string, archives: readonly TensorArchive[]): TensorArchive {
  return {
    name,
    metadata: new Map(archives.flatMap((archive) => [...archive.metadata])),
    tensors: new Map(archives.flatMap((archive) => [...archive.tensors])),
    close: async () => {
      await Promise.all(archives.map((archive) => archive.close()));
    },
  };
}

/** Builds something from an archive's weights; what it did not take is freed in any case. @param dtype as of `Weights` */
export async function withWeights<T>(
  archive: TensorArchive,
  build: (weights: Weights) => Promise<T>,
  dtype?: WeightDtype,
): Promise<T> {
  const weights = new Weights(archive, dtype);
  try {
    return await build(weights);
  } finally {
    weights.dispose();
  }
}
