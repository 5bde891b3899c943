/**
 * DiT, "Scalable Diffusion Models with Transformers" (arXiv 2212.09748), after facebookresearch/DiT models.py.
 * Letters: N samples, H×W latent, C channels, T tokens, D hidden size, p patch size.
 */
import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../checkpoint/hold.ts';
import type { WeightScope, Weights } from '../checkpoint/weights.ts';
import { OptionError } from '../errors.ts';
import { SelfAttention } from '../layers/attention.ts';
import { Composite } from '../layers/composite.ts';
import { LabelEmbedder, PatchEmbed, TimestepEmbedder } from '../layers/embedders.ts';
import { Linear } from '../layers/linear.ts';
import { Mlp } from '../layers/mlp.ts';
import { type BlockOutputs, type BranchExchange, wholeBlock } from '../ops/block.ts';
import { positionTable } from '../ops/embeddings.ts';
import { adaLNVectors, normLinear } from '../ops/linear.ts';
import { unpatchify } from '../ops/patchify.ts';
import { gatherRows } from '../ops/rows.ts';
import { assertShape, type Shape } from '../shape.ts';
import { type Block, type BlockRunner, type Branch, gatedBranch, type Modulation, runAllBlocks } from './block.ts';
import { buildParts, disposeParts, type ModelPart, parameterShapesOf, weightBytesOf } from './build.ts';
import type { DiTConfig } from './dit-config.ts';

// eps 1e-6: models.py DiTBlock and FinalLayer; diffusers' DiT takes another for the norm before the MLP (normEps)
const NORM_EPS = 1e-6;

/** The sum of timestep and label embedding, [N,D]; the same for every block and for the final layer. */
export interface DiTConditioning {
  readonly c: tf.Tensor2D;
}

export class DiTBlock extends Composite implements Block<DiTConditioning> {
  static readonly className = 'DiTBlock';
  readonly branches: readonly Branch[];
  private readonly attn: SelfAttention;
  private readonly mlp: Mlp;
  private readonly adaLNModulation: Linear;

  constructor(
    private readonly config: DiTConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, numHeads, mlpRatio, normEps } = config;
    this.attn = this.child('attn', new SelfAttention({ hiddenSize, numHeads }, stored?.at('attn')));
    this.mlp = this.child('mlp', new Mlp({ hiddenSize, mlpRatio }, stored?.at('mlp')));
    const modulation = new Linear(
      { inFeatures: hiddenSize, outFeatures: 6 * hiddenSize },
      stored?.at('adaLN_modulation.1'),
    );
    this.adaLNModulation = this.child('adaLN_modulation.1', modulation);
    this.branches = [
      gatedBranch(
        'self',
        (mod) => mod.gateMsa,
        (x, { shiftMsa: shift, scaleMsa: scale }, options) =>
          this.attn.call(x, { norm: { shift, scale, eps: NORM_EPS }, ...options }), // [N,T,D]
      ),
      gatedBranch(
        'mlp',
        (mod) => mod.gateMlp,
        (x, { shiftMlp: shift, scaleMlp: scale }, options) =>
          this.mlp.call(x, { norm: { shift, scale, eps: normEps }, ...options }), // [N,T,D]
      ),
    ];
  }

  modulation({ c }: DiTConditioning): Modulation {
    // in the order of models.py: shift, scale, gate of attention, then of the MLP
    const vectors = adaLNVectors(c, this.adaLNModulation.operands, 6) as Six<tf.Tensor2D>;
    const [shiftMsa, scaleMsa, gateMsa, shiftMlp, scaleMlp, gateMlp] = vectors; // [N,D]
    return { shiftMsa, scaleMsa, gateMsa, shiftMlp, scaleMlp, gateMlp };
  }

  whole(x: tf.Tensor3D, { c }: DiTConditioning, exchange?: BranchExchange): BlockOutputs | undefined {
    const { numHeads, normEps } = this.config;
    const linears = { ...this.attn.operands, ...this.mlp.operands };
    const modulation = { c, adaLN: this.adaLNModulation.operands };
    return wholeBlock(x, { numHeads, selfEps: NORM_EPS, mlpEps: normEps, modulation, linears }, exchange); // [N,T,D]
  }

  rows({ c }: DiTConditioning, rows: readonly number[]): DiTConditioning {
    return { c: gatherRows(c, rows) }; // [R,D]
  }

  /** @param inputs [x [N,T,D], c [N,D]] @returns [N,T,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const [tokens, c] = inputs as [tf.Tensor3D, tf.Tensor2D];
    return tf.tidy(() => {
      const mod = this.modulation({ c });
      return this.branches.reduce((x, branch) => branch.apply(x, mod), tokens.clone()); // [N,T,D]
    });
  }

  override computeOutputShape(inputShape: (number | null)[][]): (number | null)[] {
    return inputShape[0] ?? [];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config };
  }
}
serialization.registerClass(DiTBlock as unknown as serialization.SerializableConstructor<DiTBlock>);

type Six<T> = [T, T, T, T, T, T];

export class FinalLayer extends Composite {
  static readonly className = 'FinalLayer';
  private readonly adaLNModulation: Linear;
  private readonly linear: Linear;

  constructor(
    private readonly config: DiTConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, patchSize, outChannels } = config;
    const modulation = new Linear(
      { inFeatures: hiddenSize, outFeatures: 2 * hiddenSize },
      stored?.at('adaLN_modulation.1'),
    );
    this.adaLNModulation = this.child('adaLN_modulation.1', modulation);
    const outFeatures = patchSize * patchSize * outChannels;
    this.linear = this.child('linear', new Linear({ inFeatures: hiddenSize, outFeatures }, stored?.at('linear')));
  }

  /** @param inputs [x [N,T,D], c [N,D]] @returns [N,T,p·p·C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const [x, c] = inputs as [tf.Tensor3D, tf.Tensor2D];
    return tf.tidy(() => {
      const vectors = adaLNVectors(c, this.adaLNModulation.operands, 2);
      const [shift, scale] = vectors as [tf.Tensor2D, tf.Tensor2D]; // [N,D]
      return normLinear(x, { shift, scale, eps: NORM_EPS }, this.linear.operands); // [N,T,p·p·C']
    });
  }

  override computeOutputShape(inputShape: (number | null)[][]): (number | null)[] {
    const { patchSize, outChannels } = this.config;
    return [...(inputShape[0] ?? []).slice(0, 2), patchSize * patchSize * outChannels];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config };
  }
}
serialization.registerClass(FinalLayer as unknown as serialization.SerializableConstructor<FinalLayer>);

export class DiT {
  readonly blocks: readonly DiTBlock[];
  private readonly xEmbedder: PatchEmbed;
  private readonly tEmbedder: TimestepEmbedder;
  private readonly yEmbedder: LabelEmbedder;
  private readonly finalLayer: FinalLayer;
  private posEmbed: tf.Tensor3D | undefined;

  private constructor(
    readonly config: DiTConfig,
    stored?: WeightScope,
  ) {
    const { hiddenSize, patchSize, inChannels, numClasses, frequencyShift } = config;
    this.xEmbedder = new PatchEmbed({ patchSize, inChannels, hiddenSize }, stored?.at('x_embedder'));
    this.tEmbedder = new TimestepEmbedder({ hiddenSize, frequencyShift }, stored?.at('t_embedder'));
    this.yEmbedder = new LabelEmbedder({ numClasses, hiddenSize }, stored?.at('y_embedder'));
    this.blocks = Array.from({ length: config.depth }, (_, i) => new DiTBlock(config, stored?.at(`blocks.${i}`)));
    this.finalLayer = new FinalLayer(config, stored?.at('final_layer'));
  }

  /** Reads and builds one part after the other. @throws CheckpointError when the tensors are not those of `config`. */
  static async fromWeights(config: DiTConfig, weights: Weights): Promise<DiT> {
    const dit = new DiT(config, weights.scope());
    weights.expect(parameterShapesOf(dit.parts()));
    await buildParts(dit.parts(), weights);
    const grid = config.inputSize / config.patchSize;
    dit.posEmbed = tf.keep(positionTable(config.hiddenSize, grid, grid)); // [1,T,D]
    return dit;
  }

  /** Parameter name → shape, as a converted checkpoint holds them. */
  static parameterShapes(config: DiTConfig): ReadonlyMap<string, Shape> {
    return parameterShapesOf(new DiT(config).parts());
  }

  /** Of a model in memory, whose kernels and tables are held as `dtype`. */
  static weightBytes(config: DiTConfig, dtype?: WeightDtype): number {
    return weightBytesOf(new DiT(config).parts(), dtype);
  }

  /**
   * @param x latents [N,H,W,C]
   * @param t N timesteps, 0…999
   * @param y N labels; `numClasses` means "no class"
   * @throws ShapeError, or OptionError for an unknown label
   */
  embed(x: tf.Tensor4D, t: readonly number[], y: readonly number[]): { tokens: tf.Tensor3D; cond: DiTConditioning } {
    const { inputSize, inChannels, numClasses } = this.config;
    assertShape('DiT input', x.shape, [t.length, inputSize, inputSize, inChannels]);
    assertShape('DiT labels', [y.length], [t.length]);
    const odd = y.find((label) => !Number.isInteger(label) || label < 0 || label > numClasses);
    if (odd !== undefined)
      throw new OptionError(`DiT labels: expected whole numbers from 0 to ${numClasses}, got ${odd}`);
    const posEmbed = this.posEmbed as tf.Tensor3D;
    const tokens = tf.tidy(() => tf.add(this.xEmbedder.call(x), posEmbed) as tf.Tensor3D); // [N,T,D]
    const c = tf.tidy(() => tf.add(this.tEmbedder.embed(t), this.yEmbedder.embed(y)) as tf.Tensor2D); // [N,D]
    return { tokens, cond: { c } };
  }

  /** @param tokens [N,T,D] @returns [N,H,W,C'] */
  head(tokens: tf.Tensor3D, { c }: DiTConditioning): tf.Tensor4D {
    const { patchSize, inputSize } = this.config;
    const grid = inputSize / patchSize;
    return tf.tidy(() => unpatchify(this.finalLayer.call([tokens, c]), patchSize, grid, grid));
  }

  /** One forward: embed, run the blocks, head. Arguments as `embed`. @returns ε and variance logits [N,H,W,2·C] */
  async predict(
    x: tf.Tensor4D,
    t: readonly number[],
    y: readonly number[],
    run: BlockRunner = runAllBlocks,
  ): Promise<tf.Tensor4D> {
    const { tokens, cond } = this.embed(x, t, y);
    try {
      const h = await run(this.blocks, tokens, cond); // [N,T,D]
      try {
        assertShape("the block runner's tokens", h.shape, tokens.shape);
        return this.head(h, cond); // [N,H,W,C']
      } finally {
        h.dispose();
      }
    } finally {
      tf.dispose([tokens, cond.c]);
    }
  }

  /** Without the position table, which is fixed and not stored. */
  countParams(): number {
    return this.parts().reduce((sum, part) => sum + part.layer.countParams(), 0);
  }

  dispose(): void {
    disposeParts(this.parts());
    this.posEmbed?.dispose();
    this.posEmbed = undefined;
  }

  private parts(): readonly ModelPart[] {
    return [
      { path: 'x_embedder', layer: this.xEmbedder },
      { path: 't_embedder', layer: this.tEmbedder },
      { path: 'y_embedder', layer: this.yEmbedder },
      ...this.blocks.map((layer, i) => ({ path: `blocks.${i}`, layer })),
      { path: 'final_layer', layer: this.finalLayer },
    ];
  }
}
