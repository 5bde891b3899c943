import type * as tf from '@tensorflow/tfjs-core';
import { runFused } from './fused.ts';
import type { LinearWeights } from './linear.ts';

/** The linears of self-attention and MLP, and of the cross-attention between them where there is one. */
export interface BlockLinears {
  readonly qkv: LinearWeights;
  readonly proj: LinearWeights;
  readonly fc1: LinearWeights;
  readonly fc2: LinearWeights;
  readonly cross?: { readonly q: LinearWeights; readonly kv: LinearWeights; readonly proj: LinearWeights } | undefined;
}

/** Where a block's six vectors come from: a linear of its own, or a table added to what all blocks share. */
export type BlockModulation =
  | { readonly c: tf.Tensor2D; readonly adaLN: LinearWeights }
  | { readonly t0: tf.Tensor2D; readonly table: tf.Tensor2D };

export interface WholeBlock {
  readonly numHeads: number;
  /** Of the norms before self-attention and MLP. */
  readonly selfEps: number;
  readonly mlpEps: number;
  readonly modulation: BlockModulation;
  readonly linears: BlockLinears;
  /** [N,L,D] and [N,1,1,L], with `linears.cross`. */
  readonly caption?: { readonly tokens: tf.Tensor3D; readonly bias: tf.Tensor4D } | undefined;
}

/** Floats of the widest tensor inside: beyond, an op's call costs nothing beside its arithmetic, and memory is kept for them. */
const MOST_FLOATS = 8 * 2 ** 20;

/**
 * A whole adaLN block in one op: where tokens are few, calling an op costs as much as its arithmetic.
 * @param x [N,T,D]
 * @returns [N,T,D], the numbers of the block's parts bit for bit; undefined where the running backend has no such op, or
 * it is not for such a block
 */
export function wholeBlock(x: tf.Tensor3D, block: WholeBlock): tf.Tensor3D | undefined {
  const { linears, modulation, caption } = block;
  const single = 'table' in modulation;
  const { qkv, proj, fc1, fc2, cross } = linears;
  const named = { ...(single ? {} : { adaLN: modulation.adaLN }), qkv, proj, fc1, fc2 };
  const ofCaption = cross ? { crossQ: cross.q, crossKv: cross.kv, crossProj: cross.proj } : {};
  const weights = Object.entries({ ...named, ...ofCaption });
  const innerWidth = (x.size / x.shape[2]) * (fc1.bias?.shape[0] ?? 0);
  const isOdd = weights.some(([, { dtype, bias }]) => dtype !== qkv.dtype || !bias);
  if (isOdd || innerWidth > MOST_FLOATS) return undefined;
  const inputs = {
    x,
    ...(single ? { c: modulation.t0, table: modulation.table } : { c: modulation.c }),
    ...Object.fromEntries(
      weights.flatMap(([name, { kernel, bias }]) => [
        [`${name}.kernel`, kernel],
        [`${name}.bias`, bias as tf.Tensor1D],
      ]),
    ),
    ...(cross && caption && { caption: caption.tokens, captionBias: caption.bias }),
  };
  const { numHeads, selfEps, mlpEps } = block;
  return runFused<tf.Tensor3D>('DeltaDitBlock', inputs, { numHeads, selfEps, mlpEps, dtype: qkv.dtype });
}
