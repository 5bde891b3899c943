/**
 * PixArt-α (arXiv 2310.00426) and PixArt-LCM, after PixArt-alpha/PixArt-alpha PixArt.py and PixArtMS.py.
 * Letters: N samples, h×w latent, C channels, T tokens, D hidden size, p patch size, L caption tokens.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { WeightScope, Weights } from '../checkpoint/weights.ts';
import { OptionError, ShapeError } from '../errors.ts';
import { CaptionProjection } from '../layers/caption-projection.ts';
import { PatchEmbed, TimestepEmbedder } from '../layers/embedders.ts';
import { Linear } from '../layers/linear.ts';
import { silu } from '../ops/activations.ts';
import { keyBias } from '../ops/attention.ts';
import { positionTable } from '../ops/embeddings.ts';
import { unpatchify } from '../ops/patchify.ts';
import { assertShape, type Shape } from '../shape.ts';
import { type BlockRunner, runAllBlocks } from './block.ts';
import { buildParts, disposeParts, type ModelPart, parameterShapesOf, weightBytesOf } from './build.ts';
import { PixArtBlock, type PixArtCaption, type PixArtConditioning, T2IFinalLayer } from './pixart-block.ts';
import type { PixArtConfig } from './pixart-config.ts';

/** What PixArt-α 1024-MS and LCM are told of the picture that they make. */
export interface MicroConditions {
  /** Pixels. */
  readonly height: number;
  readonly width: number;
  /**
   * height ÷ width. The original gives the key of the bin, such as 0.68, and diffusers the exact quotient of its sides,
   * such as 832/1216.
   */
  readonly aspectRatio: number;
}

export class PixArt {
  readonly blocks: readonly PixArtBlock[];
  private readonly xEmbedder: PatchEmbed;
  private readonly tEmbedder: TimestepEmbedder;
  private readonly sizeEmbedders: SizeEmbedders | undefined;
  private readonly adaLNSingle: Linear;
  private readonly captionProjection: CaptionProjection;
  private readonly finalLayer: T2IFinalLayer;
  private positions: Positions | undefined;

  private constructor(
    readonly config: PixArtConfig,
    stored?: WeightScope,
  ) {
    const { hiddenSize: d, patchSize, inChannels, captionChannels } = config;
    const timestepEmbedder = (name: string, hiddenSize: number) =>
      new TimestepEmbedder({ hiddenSize, frequencyShift: 0 }, stored?.at(name));
    this.xEmbedder = new PatchEmbed({ patchSize, inChannels, hiddenSize: d }, stored?.at('x_embedder'));
    this.tEmbedder = timestepEmbedder('t_embedder', d);
    this.sizeEmbedders = config.microConditions
      ? { csize: timestepEmbedder('csize_embedder', d / 3), ar: timestepEmbedder('ar_embedder', d / 3) }
      : undefined;
    this.adaLNSingle = new Linear({ inFeatures: d, outFeatures: 6 * d }, stored?.at('t_block.1'));
    this.captionProjection = new CaptionProjection({ captionChannels, hiddenSize: d }, stored?.at('y_embedder.y_proj'));
    this.blocks = Array.from({ length: config.depth }, (_, i) => new PixArtBlock(config, stored?.at(`blocks.${i}`)));
    this.finalLayer = new T2IFinalLayer(config, stored?.at('final_layer'));
  }

  /** Reads and builds one part after the other. @throws CheckpointError when the tensors are not those of `config`. */
  static async fromWeights(config: PixArtConfig, weights: Weights): Promise<PixArt> {
    const pixart = new PixArt(config, weights.scope());
    weights.expect(parameterShapesOf(pixart.parts()));
    await buildParts(pixart.parts(), weights);
    const grid = config.inputSize / config.patchSize;
    pixart.positionsOf(grid, grid);
    return pixart;
  }

  /** Parameter name → shape, as a converted checkpoint holds them. */
  static parameterShapes(config: PixArtConfig): ReadonlyMap<string, Shape> {
    return parameterShapesOf(new PixArt(config).parts());
  }

  /** Of a model in memory, whose kernels and tables are held as `dtype`. */
  static weightBytes(config: PixArtConfig, dtype?: WeightDtype): number {
    return weightBytesOf(new PixArt(config).parts(), dtype);
  }

  /**
   * Projects a caption to the model's width: once for all steps that it is used in. The caller frees what it is given.
   * @param embeds of the text encoder [N,L,captionChannels]
   * @param mask [N,L], 1 for tokens and 0 for padding; every caption keeps one token at least
   * @throws ShapeError, for a text encoder of another width above all
   */
  projectCaption(embeds: tf.Tensor3D, mask: tf.Tensor2D): PixArtCaption {
    assertShape('PixArt caption', embeds.shape, [null, null, this.config.captionChannels]);
    assertShape('PixArt caption mask', mask.shape, embeds.shape.slice(0, 2));
    return { tokens: this.captionProjection.call(embeds), bias: keyBias(mask) }; // [N,L,D], [N,1,1,L]
  }

  /**
   * @param x latents [N,h,w,C] of any size that is cut into whole patches
   * @param t N timesteps, 0…999
   * @param caption of `projectCaption`, borrowed as long as `cond` is used
   * @param size for models with micro-conditions, which cannot do without
   * @throws ShapeError, or OptionError when the size is missing
   */
  embed(
    x: tf.Tensor4D,
    t: readonly number[],
    caption: PixArtCaption,
    size?: MicroConditions,
  ): { tokens: tf.Tensor3D; cond: PixArtConditioning } {
    const { height, width } = this.gridOf(x, t, caption);
    const sizes = this.sizesOf(size);
    const tokens = tf.tidy(() => tf.add(this.xEmbedder.call(x), this.positionsOf(height, width)) as tf.Tensor3D); // [N,T,D]
    const embedded = tf.tidy(() => {
      const time = this.tEmbedder.embed(t); // [N,D]
      return sizes ? (tf.add(time, embedSizes(sizes.embedders, sizes.given)) as tf.Tensor2D) : time; // [N,D]
    });
    const t0 = tf.tidy(() => this.adaLNSingle.call(silu(embedded))); // [N,6·D]
    return { tokens, cond: { t: embedded, t0, caption, height, width } };
  }

  /** @param tokens [N,T,D] @returns [N,h,w,C'] */
  head(tokens: tf.Tensor3D, { t, height, width }: PixArtConditioning): tf.Tensor4D {
    return tf.tidy(() => unpatchify(this.finalLayer.call([tokens, t]), this.config.patchSize, height, width));
  }

  /** One forward: embed, run the blocks, head. Arguments as `embed`. @returns ε and variance logits [N,h,w,2·C] */
  async predict(
    x: tf.Tensor4D,
    t: readonly number[],
    caption: PixArtCaption,
    { size, run = runAllBlocks }: { readonly size?: MicroConditions | undefined; readonly run?: BlockRunner } = {},
  ): Promise<tf.Tensor4D> {
    const { tokens, cond } = this.embed(x, t, caption, size);
    try {
      const h = await run(this.blocks, tokens, cond); // [N,T,D]
      try {
        assertShape("the block runner's tokens", h.shape, tokens.shape);
        return this.head(h, cond); // [N,h,w,C']
      } finally {
        h.dispose();
      }
    } finally {
      tf.dispose([tokens, cond.t, cond.t0]);
    }
  }

  /** Without the position table, which follows from the sizes and is not stored. */
  countParams(): number {
    return this.parts().reduce((sum, part) => sum + part.layer.countParams(), 0);
  }

  dispose(): void {
    disposeParts(this.parts());
    this.positions?.table.dispose();
    this.positions = undefined;
  }

  /** The latent in patches. @throws ShapeError unless the inputs fit each other and the model. */
  private gridOf(x: tf.Tensor4D, t: readonly number[], { tokens, bias }: PixArtCaption): Grid {
    const { patchSize: p, inChannels, hiddenSize } = this.config;
    const [n, h, w] = x.shape;
    assertShape('PixArt input', x.shape, [t.length, null, null, inChannels]);
    assertShape('PixArt caption', tokens.shape, [n, null, hiddenSize]);
    assertShape('PixArt caption bias', bias.shape, [n, 1, 1, tokens.shape[1]]);
    if (h === 0 || w === 0 || h % p !== 0 || w % p !== 0)
      throw new ShapeError(`PixArt input: expected a height and width in whole patches of ${p}, got ${h}×${w}`);
    return { height: h / p, width: w / p };
  }

  private sizesOf(
    given: MicroConditions | undefined,
  ): { embedders: SizeEmbedders; given: MicroConditions } | undefined {
    const embedders = this.sizeEmbedders;
    if (!embedders) return undefined;
    const numbers = given ? [given.height, given.width, given.aspectRatio] : [];
    if (given && numbers.every((value) => Number.isFinite(value) && value > 0)) return { embedders, given };
    throw new OptionError(
      'size: this model is told the picture’s height and width in pixels and its aspect ratio; give {height, width, aspectRatio}',
    );
  }

  /** The table of this grid, kept until another grid is asked for. */
  private positionsOf(height: number, width: number): tf.Tensor3D {
    if (this.positions?.height === height && this.positions.width === width) return this.positions.table;
    const { hiddenSize, inputSize, patchSize, interpolationScale } = this.config;
    const scale = { base: inputSize / patchSize, interpolation: interpolationScale };
    const table = tf.keep(positionTable(hiddenSize, height, width, scale)); // [1,T,D]
    this.positions?.table.dispose();
    this.positions = { height, width, table };
    return table;
  }

  private parts(): readonly ModelPart[] {
    return [
      { path: 'x_embedder', layer: this.xEmbedder },
      { path: 't_embedder', layer: this.tEmbedder },
      ...(this.sizeEmbedders
        ? [
            { path: 'csize_embedder', layer: this.sizeEmbedders.csize },
            { path: 'ar_embedder', layer: this.sizeEmbedders.ar },
          ]
        : []),
      { path: 't_block.1', layer: this.adaLNSingle },
      { path: 'y_embedder.y_proj', layer: this.captionProjection },
      ...this.blocks.map((layer, i) => ({ path: `blocks.${i}`, layer })),
      { path: 'final_layer', layer: this.finalLayer },
    ];
  }
}

/** A latent's height and width in patches. */
interface Grid {
  readonly height: number;
  readonly width: number;
}

interface Positions extends Grid {
  /** [1,T,D] */
  readonly table: tf.Tensor3D;
}

/** Of height and width, which share one, and of the aspect ratio; each to a third of the width D. */
interface SizeEmbedders {
  readonly csize: TimestepEmbedder;
  readonly ar: TimestepEmbedder;
}

/** Height, width, aspect ratio, in this order. @returns [1,D] */
function embedSizes({ csize, ar }: SizeEmbedders, { height, width, aspectRatio }: MicroConditions): tf.Tensor2D {
  const sides = csize.embed([height, width]); // [2,D/3]
  return tf.concat([tf.reshape(sides, [1, -1]), ar.embed([aspectRatio])], 1) as tf.Tensor2D; // [1,D]
}
