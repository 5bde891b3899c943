import * as tf from '@tensorflow/tfjs-core';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import type { StoredTensor } from '../checkpoint/stored-tensor.ts';
import { writeWhole } from './pictures.ts';

/**
 * Latents [N,h,w,C] as a safetensors file in float32, laid out as PyTorch has them, [N,C,h,w].
 * @param tensors by name, borrowed
 */
export async function writeLatents(
  path: string,
  tensors: Readonly<Record<string, tf.Tensor4D>>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const stored: StoredTensor[] = [];
  for (const [name, tensor] of Object.entries(tensors)) {
    const channelsFirst = tf.transpose(tensor, [0, 3, 1, 2]);
    const { buffer, byteOffset, byteLength } = await channelsFirst.data<'float32'>();
    channelsFirst.dispose();
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    stored.push({ name, dtype: 'F32', shape: channelsFirst.shape, read: async () => bytes });
  }
  const pieces: Uint8Array[] = [];
  await writeSafetensors(async (piece) => void pieces.push(piece.slice()), stored, new Map(Object.entries(metadata)));
  await writeWhole(path, Buffer.concat(pieces));
}
