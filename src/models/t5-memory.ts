/** How much memory a text encoder takes, counted as in memory.ts. */
import type { WeightDtype } from '../checkpoint/hold.ts';
import { weightBytesOf } from './build.ts';
import { FLOAT_BYTES, type ModelMemory } from './memory.ts';
import type { T5EncoderConfig } from './t5-config.ts';
import { T5Encoder } from './t5-encoder.ts';
import { groupSize } from './t5-forward.ts';
import { t5Parts } from './t5-layers.ts';

/** Bytes of weights up to which a text encoder stays in memory; above, it is read from disk for each call. */
const IN_MEMORY_BYTES = 2 ** 30;

/** Whether pipelines read the weights from disk for each call, half a layer at a time (see `StreamedT5Encoder`). */
export function staysOnDisk(config: T5EncoderConfig, dtype?: WeightDtype): boolean {
  return T5Encoder.weightBytes(config, dtype) > IN_MEMORY_BYTES;
}

/**
 * A T5 encoder on so many prompts at once, as pipelines run it. Of one that stays on disk, the half layer that is read
 * counts as activations: nothing of it is held between calls.
 * @param length of the prompts, padding included @param dtype of its weights
 */
export function t5Memory(config: T5EncoderConfig, prompts: number, length: number, dtype?: WeightDtype): ModelMemory {
  const activations = FLOAT_BYTES * activationFloats(config, prompts, length);
  if (!staysOnDisk(config, dtype)) return { weights: T5Encoder.weightBytes(config, dtype), activations };
  const halves = t5Parts(config).layers.flatMap(({ attention, feedForward }) => [attention, feedForward]);
  const largest = Math.max(...halves.map((half) => weightBytesOf([half], dtype)));
  return { weights: 0, activations: largest + activations };
}

function activationFloats(config: T5EncoderConfig, prompts: number, length: number): number {
  const { hiddenSize, numHeads, headDim, feedForwardSize } = config;
  const together = Math.min(prompts, groupSize(length));
  const stream = together * length * hiddenSize; // [n,L,D]
  const inner = together * length * numHeads * headDim; // [n,L,h·d]
  // at softmax·v: normed; q, k, v as projected and head-major; the product; scores, with bias, with mask, their softmax
  const attention = stream + 7 * inner + 4 * together * numHeads * length ** 2;
  // at GELU's last product: normed; seven of the inner width
  const feedForward = stream + 7 * together * length * feedForwardSize;
  const hidden = prompts * length * hiddenSize; // [N,L,D] of all groups
  return hidden + numHeads * length ** 2 + Math.max(attention, feedForward);
}
