/** The parts of PixArt-α that differ from DiT's; letters as in pixart.ts. */
import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { CrossAttention, SelfAttention } from '../layers/attention.ts';
import { Composite } from '../layers/composite.ts';
import { Linear } from '../layers/linear.ts';
import { Mlp } from '../layers/mlp.ts';
import { ScaleShiftTable } from '../layers/scale-shift-table.ts';
import { type BlockOutputs, type BranchExchange, wholeBlock } from '../ops/block.ts';
import { normLinear } from '../ops/linear.ts';
import { gatherRows } from '../ops/rows.ts';
import { type Block, type Branch, gatedBranch, type Modulation, plainBranch } from './block.ts';
import type { PixArtConfig } from './pixart-config.ts';

/** A caption as the blocks attend to it, projected to the model's width. */
export interface PixArtCaption {
  /** [N,L,D] */
  readonly tokens: tf.Tensor3D;
  /** [N,1,1,L]: 0 for tokens that are attended to, −10000 for padding. */
  readonly bias: tf.Tensor4D;
}

/** What all blocks of one forward are given, and the final layer. */
export interface PixArtConditioning {
  /** The embedded timestep (and sizes) [N,D], for the final layer. */
  readonly t: tf.Tensor2D;
  /** adaLN-single: the modulation [N,6·D] that the blocks share. */
  readonly t0: tf.Tensor2D;
  /** Borrowed from the caller. */
  readonly caption: PixArtCaption;
  /** Of the latent, in patches. */
  readonly height: number;
  readonly width: number;
}

/** A block's own modulation, and the caption that its cross-attention reads. */
export interface PixArtModulation extends Modulation {
  readonly caption: PixArtCaption;
}

export class PixArtBlock extends Composite implements Block<PixArtConditioning, PixArtModulation> {
  static readonly className = 'PixArtBlock';
  readonly branches: readonly Branch<PixArtModulation>[];
  private readonly scaleShiftTable: ScaleShiftTable;
  private readonly attn: SelfAttention;
  private readonly cross: CrossAttention;
  private readonly mlp: Mlp;

  constructor(
    private readonly config: PixArtConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, numHeads, mlpRatio, normEps } = config;
    this.scaleShiftTable = this.child('', new ScaleShiftTable({ rows: 6, hiddenSize }, stored));
    this.attn = this.child('attn', new SelfAttention({ hiddenSize, numHeads }, stored?.at('attn')));
    this.cross = this.child('cross_attn', new CrossAttention({ hiddenSize, numHeads }, stored?.at('cross_attn')));
    this.mlp = this.child('mlp', new Mlp({ hiddenSize, mlpRatio }, stored?.at('mlp')));
    this.branches = [
      gatedBranch(
        'self',
        (mod) => mod.gateMsa,
        (x, { shiftMsa: shift, scaleMsa: scale }, options) =>
          this.attn.call(x, { norm: { shift, scale, eps: normEps }, ...options }), // [N,T,D]
      ),
      // no norm before it, no gate after it
      plainBranch('cross', (x, { caption }, options) => this.cross.call([x, caption.tokens, caption.bias], options)), // [N,T,D]
      gatedBranch(
        'mlp',
        (mod) => mod.gateMlp,
        (x, { shiftMlp: shift, scaleMlp: scale }, options) =>
          this.mlp.call(x, { norm: { shift, scale, eps: normEps }, ...options }), // [N,T,D]
      ),
    ];
  }

  modulation({ t0, caption }: Pick<PixArtConditioning, 't0' | 'caption'>): PixArtModulation {
    const [n] = t0.shape;
    const own = this.scaleShiftTable.call(tf.reshape(t0, [n, 6, this.config.hiddenSize])); // [N,6,D]
    const [shiftMsa, scaleMsa, gateMsa, shiftMlp, scaleMlp, gateMlp] = tf.unstack(own, 1) as Six<tf.Tensor2D>; // [N,D]
    return { shiftMsa, scaleMsa, gateMsa, shiftMlp, scaleMlp, gateMlp, caption };
  }

  whole(x: tf.Tensor3D, { t0, caption }: PixArtConditioning, exchange?: BranchExchange): BlockOutputs | undefined {
    const { numHeads, normEps: eps } = this.config;
    const linears = { ...this.attn.operands, ...this.mlp.operands, cross: this.cross.operands };
    const modulation = { t0, table: this.scaleShiftTable.table };
    return wholeBlock(x, { numHeads, selfEps: eps, mlpEps: eps, modulation, linears, caption }, exchange); // [N,T,D]
  }

  rows(cond: PixArtConditioning, rows: readonly number[]): PixArtConditioning {
    const { tokens, bias } = cond.caption;
    const caption = { tokens: gatherRows(tokens, rows), bias: gatherRows(bias, rows) }; // [R,L,D], [R,1,1,L]
    return { ...cond, t: gatherRows(cond.t, rows), t0: gatherRows(cond.t0, rows), caption }; // [R,D], [R,6·D]
  }

  /** @param inputs [x [N,T,D], t0 [N,6·D], caption tokens [N,L,D], caption bias [N,1,1,L]] @returns [N,T,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const [x, t0, tokens, bias] = inputs as [tf.Tensor3D, tf.Tensor2D, tf.Tensor3D, tf.Tensor4D];
    return tf.tidy(() => {
      const mod = this.modulation({ t0, caption: { tokens, bias } });
      return this.branches.reduce((h, branch) => branch.apply(h, mod), x.clone()); // [N,T,D]
    });
  }

  override computeOutputShape(inputShape: (number | null)[][]): (number | null)[] {
    return inputShape[0] ?? [];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config };
  }
}
serialization.registerClass(PixArtBlock as unknown as serialization.SerializableConstructor<PixArtBlock>);
type Six<T> = [T, T, T, T, T, T];

/** A shift and a scale from a table and the embedded timestep, without a linear of its own (PixArt_blocks.py). */
export class T2IFinalLayer extends Composite {
  static readonly className = 'T2IFinalLayer';
  private readonly scaleShiftTable: ScaleShiftTable;
  private readonly linear: Linear;

  constructor(
    private readonly config: PixArtConfig,
    stored?: WeightScope,
  ) {
    super();
    const { hiddenSize, patchSize, outChannels } = config;
    this.scaleShiftTable = this.child('', new ScaleShiftTable({ rows: 2, hiddenSize }, stored));
    const outFeatures = patchSize * patchSize * outChannels;
    this.linear = this.child('linear', new Linear({ inFeatures: hiddenSize, outFeatures }, stored?.at('linear')));
  }

  /** @param inputs [x [N,T,D], t [N,D]] @returns [N,T,p·p·C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    const [x, t] = inputs as [tf.Tensor3D, tf.Tensor2D];
    return tf.tidy(() => {
      const own = this.scaleShiftTable.call(tf.expandDims(t, 1)); // [N,2,D]
      const [shift, scale] = tf.unstack(own, 1) as [tf.Tensor2D, tf.Tensor2D]; // [N,D]
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
serialization.registerClass(T2IFinalLayer as unknown as serialization.SerializableConstructor<T2IFinalLayer>);

// PixArt_blocks.py T2IFinalLayer; diffusers' norm_out has it whatever its config says of the blocks
const NORM_EPS = 1e-6;
