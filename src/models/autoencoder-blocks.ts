/**
 * What the encoder and the decoder of an AutoencoderKL are made of, after diffusers' ResnetBlock2D and Attention,
 * channels last. Letters: N samples, H×W positions, C channels.
 */
import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { Composite } from '../layers/composite.ts';
import { Conv2d } from '../layers/conv2d.ts';
import { GroupNorm } from '../layers/group-norm.ts';
import { Linear } from '../layers/linear.ts';
import { single } from '../layers/tensors.ts';
import { multiHeadAttention } from '../ops/attention.ts';
import { linearResidual } from '../ops/linear.ts';
import { HALO, normConvFloats, withMoments } from './autoencoder-bands.ts';
import type { RowBands, RowTiling } from './row-bands.ts';

/** GN → SiLU → conv → GN → SiLU → conv, plus the input (through a 1×1 convolution where the channels change). */
export class ResnetBlock extends Composite {
  static readonly className = 'ResnetBlock2D';
  private readonly norm1: GroupNorm;
  private readonly conv1: Conv2d;
  private readonly norm2: GroupNorm;
  private readonly conv2: Conv2d;
  private readonly convShortcut: Conv2d | undefined;

  constructor(
    private readonly sizes: { readonly inChannels: number; readonly outChannels: number; readonly numGroups: number },
    stored?: WeightScope,
  ) {
    super();
    const { inChannels, outChannels, numGroups } = sizes;
    const norm = (name: string, channels: number) =>
      this.child(name, new GroupNorm({ channels, numGroups, silu: true }, stored?.at(name)));
    const conv = (name: string, from: number, kernelSize: 1 | 3) =>
      this.child(name, new Conv2d({ inChannels: from, outChannels, kernelSize }, stored?.at(name)));
    this.norm1 = norm('norm1', inChannels);
    this.conv1 = conv('conv1', inChannels, 3);
    this.norm2 = norm('norm2', outChannels);
    this.conv2 = conv('conv2', outChannels, 3);
    this.convShortcut = inChannels === outChannels ? undefined : conv('conv_shortcut', inChannels, 1);
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C'] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const x = single<tf.Tensor4D>(inputs);
    return tf.tidy(() => {
      const inner = tf.tidy(() => this.conv1.call(this.norm1.call(x))); // [N,H,W,C']
      const y = tf.tidy(() => this.conv2.call(this.norm2.call(inner))); // [N,H,W,C']
      inner.dispose();
      return tf.add(this.convShortcut?.call(x) ?? x, y);
    });
  }

  /** `call` band by band. @param x used up: never more is held whole than it, or twice the output */
  async callInBands(x: RowBands, tiling: RowTiling): Promise<RowBands> {
    const { norm1, norm2, conv1, conv2, convShortcut } = this;
    const { inChannels, outChannels } = this.sizes;
    const inner = tiling.bands();
    const skip = convShortcut ? tiling.bands() : x;
    await withMoments(norm1, x, (moments) =>
      tiling.eachBand(x, { floatsPerPosition: normConvFloats(inChannels, outChannels), halo: HALO }, (rows) => {
        inner.push(tf.tidy(() => conv1.callBand(norm1.callBand(x.rows(rows, HALO), moments), rows)));
        if (!convShortcut) return;
        skip.push(tf.tidy(() => convShortcut.call(x.rows(rows))));
        x.freeBefore(rows, HALO);
      }),
    );
    const out = tiling.bands();
    await withMoments(norm2, inner, (moments) =>
      tiling.eachBand(inner, { floatsPerPosition: normConvFloats(outChannels, outChannels), halo: HALO }, (rows) => {
        const y = () => conv2.callBand(norm2.callBand(inner.rows(rows, HALO), moments), rows);
        out.push(tf.tidy(() => tf.add(skip.rows(rows), y())));
        inner.freeBefore(rows, HALO);
        skip.freeBefore(rows);
      }),
    );
    return out;
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return [...inputShape.slice(0, -1), this.sizes.outChannels];
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(ResnetBlock);

/** Attention over all pixels with one head of all channels, plus the un-normalised input. */
export class SpatialAttention extends Composite {
  static readonly className = 'SpatialAttention';
  private readonly groupNorm: GroupNorm;
  private readonly toQ: Linear;
  private readonly toK: Linear;
  private readonly toV: Linear;
  private readonly toOut: Linear;

  constructor(
    private readonly sizes: { readonly channels: number; readonly numGroups: number },
    stored?: WeightScope,
  ) {
    super();
    const { channels } = sizes;
    const linear = (name: string) =>
      this.child(name, new Linear({ inFeatures: channels, outFeatures: channels }, stored?.at(name)));
    this.groupNorm = this.child('group_norm', new GroupNorm(sizes, stored?.at('group_norm')));
    this.toQ = linear('to_q');
    this.toK = linear('to_k');
    this.toV = linear('to_v');
    this.toOut = linear('to_out.0');
  }

  /** @param inputs [N,H,W,C] @returns [N,H,W,C] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor4D {
    const x = single<tf.Tensor4D>(inputs);
    const [n, height, width, channels] = x.shape;
    return tf.tidy(() => {
      const normed = tf.reshape(this.groupNorm.call(x), [n, height * width, channels]) as tf.Tensor3D; // [N,H·W,C]
      const y = multiHeadAttention(this.toQ.call(normed), this.toK.call(normed), this.toV.call(normed), 1); // [N,H·W,C]
      const tokens = tf.reshape(x, normed.shape) as tf.Tensor3D; // [N,H·W,C]
      return tf.reshape(linearResidual(y, this.toOut.operands, { x: tokens }), x.shape);
    });
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
serialization.registerClass(SpatialAttention);
