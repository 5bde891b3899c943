import { writeFileSync } from 'node:fs';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';

/** Writes the tensors of a checkpoint file, changed, as safetensors; `to` may be the file itself. */
export async function rewriteTensors(
  from: string,
  to: string,
  change: (tensors: Map<string, StoredTensor>) => void,
): Promise<void> {
  const archive = await openCheckpointFile(await fileSource(from));
  const tensors = new Map(archive.tensors);
  change(tensors);
  const pieces: Uint8Array[] = [];
  const named = [...tensors].map(([name, tensor]) => ({ ...tensor, name }));
  await writeSafetensors(async (bytes) => void pieces.push(bytes.slice()), named);
  await archive.close();
  writeFileSync(to, Buffer.concat(pieces));
}

/** A tensor of zeros. */
export function zeros(shape: readonly number[], dtype: 'F32' | 'F16' = 'F16'): StoredTensor {
  const bytes = shape.reduce((product, size) => product * size, dtype === 'F32' ? 4 : 2);
  return { name: 'zeros', dtype, shape, read: async () => new Uint8Array(bytes) };
}

/** Every tensor's type, shape and bytes, by name. */
export async function contentOf({ tensors }: TensorArchive): Promise<ReadonlyMap<string, string>> {
  const content = new Map<string, string>();
  for (const [name, { dtype, shape, read }] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1)))
    content.set(name, `${dtype} ${shape} ${Buffer.from(await read()).toString('base64')}`);
  return content;
}
