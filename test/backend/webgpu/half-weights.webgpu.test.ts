import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { fileSource } from '../../../src/checkpoint/file-source.ts';
import { openSafetensors } from '../../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../../src/checkpoint/safetensors-writer.ts';
import { Weights } from '../../../src/checkpoint/weights.ts';
import { elementCount } from '../../../src/shape.ts';

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-half-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Buffers that the GPU has given, whether or not they are in use. */
const allocated = () => (tf.memory() as unknown as { numBytesAllocatedInGPU: number }).numBytesAllocatedInGPU;

it('takes float16 as a checkpoint has it: no more of the GPU than what is read and what is held, nothing of float32', async () => {
  const shape = [3000, 4096];
  const bytes = 2 * elementCount(shape);
  const path = join(folder, 'float16.safetensors');
  const pieces: Uint8Array[] = [];
  const stored = { name: 'w', dtype: 'F16', shape, read: async () => new Uint8Array(bytes).fill(0x3c) } as const;
  await writeSafetensors(async (piece) => void pieces.push(piece.slice()), [stored]);
  writeFileSync(path, Buffer.concat(pieces));
  const archive = await openSafetensors(await fileSource(path));
  const before = allocated();
  const weights = new Weights(archive, 'float16');
  await weights.load('w', 'float16');
  expect(tf.memory().numBytes).toBe(bytes);
  expect(allocated() - before).toBeLessThan(2.01 * bytes);
  weights.dispose();
  await archive.close();
});
