import * as tf from '@tensorflow/tfjs-core';
import { gatherRows } from '../checkpoint/gather-rows.ts';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { StoredTensor, TensorArchive } from '../checkpoint/stored-tensor.ts';
import { Weights } from '../checkpoint/weights.ts';
import { buildPart } from './build.ts';
import type { T5EncoderConfig } from './t5-config.ts';
import { T5Encoder } from './t5-encoder.ts';
import {
  type CaptionEncoder,
  type CaptionOptions,
  groupPrompts,
  type PromptGroup,
  type PromptTokens,
  type T5Access,
  t5Forward,
} from './t5-forward.ts';
import { t5Parts } from './t5-layers.ts';

/**
 * The encoder of T5 v1.1 with its weights on disk. Each call reads them once, half a layer at a time, so that memory holds
 * half a layer (0.5 GB of XXL's 19 GB in float32) and the hidden states; of the embeddings it reads the rows it needs.
 * Between calls it holds nothing.
 */
export class StreamedT5Encoder implements CaptionEncoder {
  /**
   * @param archive stays open as long as the encoder is used; its opener closes it.
   * @param dtype of the kernels of the layer in work. Default: float32
   * @throws CheckpointError when the tensors are not those of `config`; BackendError as `Weights`.
   */
  constructor(
    readonly config: T5EncoderConfig,
    private readonly archive: TensorArchive,
    private readonly dtype?: WeightDtype,
  ) {
    new Weights(archive, dtype).expect(T5Encoder.parameterShapes(config));
  }

  async encode(prompts: readonly PromptTokens[], options: CaptionOptions = {}): Promise<tf.Tensor3D> {
    const groups = groupPrompts(this.config, prompts);
    const weights = new Weights(this.archive, this.dtype);
    const parts = t5Parts(this.config, weights.scope());
    const table = this.archive.tensors.get(`${parts.shared.path}.weight`) as StoredTensor;
    const access: T5Access = {
      embed: (given) => embedFromDisk(table, given),
      withPart: async (part, use) => {
        try {
          await buildPart(part, weights);
          return use(part.layer);
        } finally {
          part.layer.disposeWeights();
        }
      },
    };
    try {
      return await t5Forward(parts, access, groups, options);
    } finally {
      weights.dispose();
    }
  }

  /** There is nothing to free. */
  dispose(): void {}
}

/** @param table [V,D] @returns [n,L,D] of each group of n prompts of L tokens */
async function embedFromDisk(table: StoredTensor, groups: readonly PromptGroup[]): Promise<tf.Tensor3D[]> {
  const [, width = 0] = table.shape;
  const used = groups.flatMap((group) => group.flatMap(({ inputIds }) => Array.from(inputIds)));
  const embeddings = await gatherRows(table, used);
  return groups.map((group) => {
    const length = group[0]?.inputIds.length ?? 0;
    const values = new Float32Array(group.length * length * width);
    group.forEach(({ inputIds }, n) => {
      for (let i = 0; i < length; i++) {
        const row = embeddings.get(inputIds[i] as number) as Float32Array;
        values.set(row, (n * length + i) * width);
      }
    });
    return tf.tensor3d(values, [group.length, length, width]);
  });
}
