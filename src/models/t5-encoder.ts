import * as tf from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { Weights } from '../checkpoint/weights.ts';
import type { Shape } from '../shape.ts';
import { buildParts, disposeParts, parameterShapesOf, weightBytesOf } from './build.ts';
import type { T5EncoderConfig } from './t5-config.ts';
import {
  type CaptionEncoder,
  type CaptionOptions,
  groupPrompts,
  type PromptGroup,
  type PromptTokens,
  type T5Access,
  t5Forward,
} from './t5-forward.ts';
import { listT5Parts, type T5Parts, t5Parts } from './t5-layers.ts';

/** The encoder of T5 v1.1 with all its weights in memory: for small ones. XXL takes 19 GB, see `StreamedT5Encoder`. */
export class T5Encoder implements CaptionEncoder {
  private readonly access: T5Access;

  private constructor(
    readonly config: T5EncoderConfig,
    private readonly parts: T5Parts,
  ) {
    const { layer: embedding } = parts.shared;
    const embedGroup = (group: PromptGroup) =>
      tf.tidy(() => {
        const ids = group.map(({ inputIds }) => Array.from(inputIds));
        return embedding.call(tf.tensor2d(ids, [ids.length, ids[0]?.length ?? 0], 'int32')); // [n,L,D]
      });
    this.access = {
      embed: async (groups) => groups.map(embedGroup),
      withPart: async (part, use) => use(part.layer),
    };
  }

  /** Reads and builds one part after the other. @throws CheckpointError when the tensors are not those of `config`. */
  static async fromWeights(config: T5EncoderConfig, weights: Weights): Promise<T5Encoder> {
    const parts = t5Parts(config, weights.scope());
    const listed = listT5Parts(parts);
    weights.expect(parameterShapesOf(listed));
    await buildParts(listed, weights);
    return new T5Encoder(config, parts);
  }

  /** Parameter name → shape: transformers' names, its linears as `kernel` [in,out]. */
  static parameterShapes(config: T5EncoderConfig): ReadonlyMap<string, Shape> {
    return parameterShapesOf(listT5Parts(t5Parts(config)));
  }

  /** Of an encoder in memory, whose kernels and table are held as `dtype`. */
  static weightBytes(config: T5EncoderConfig, dtype?: WeightDtype): number {
    return weightBytesOf(listT5Parts(t5Parts(config)), dtype);
  }

  async encode(prompts: readonly PromptTokens[], options: CaptionOptions = {}): Promise<tf.Tensor3D> {
    return t5Forward(this.parts, this.access, groupPrompts(this.config, prompts), options);
  }

  countParams(): number {
    return listT5Parts(this.parts).reduce((sum, { layer }) => sum + layer.countParams(), 0);
  }

  dispose(): void {
    disposeParts(listT5Parts(this.parts));
  }
}
