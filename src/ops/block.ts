import * as tf from '@tensorflow/tfjs-core';
import { hasFused, runFused } from './fused.ts';
import type { LinearWeights } from './linear.ts';
import { isOneAsItIs, type WeightedTensors } from './weighted-sum.ts';

/** In the order in which a block has them. */
export const BRANCHES = ['self', 'cross', 'mlp'] as const;
export type BranchName = (typeof BRANCHES)[number];

/** Outputs of branches before their gates, [N,T,D], that a block takes instead of computing them, or gives beside its tokens. */
export interface BranchExchange {
  /** Borrowed, each as the sum that it is. */
  readonly given: ReadonlyMap<BranchName, WeightedTensors<tf.Tensor3D>>;
  /** Of branches that are computed. */
  readonly asked: readonly BranchName[];
}

/** Every branch is computed. */
export const NOTHING: BranchExchange = { given: new Map(), asked: [] };

/** All fresh. */
export interface BlockOutputs {
  /** [N,T,D] */
  readonly tokens: tf.Tensor3D;
  /** What was asked for, [N,T,D] each. */
  readonly raw: ReadonlyMap<BranchName, tf.Tensor3D>;
}

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
 * @returns the numbers of the block's parts bit for bit; undefined where the running backend has no such op, or it is not
 * for such a block
 */
export function wholeBlock(
  x: tf.Tensor3D,
  block: WholeBlock,
  exchange: BranchExchange = NOTHING,
): BlockOutputs | undefined {
  if (!hasFused('DeltaDitBlock')) return undefined;
  const { linears, modulation, caption } = block;
  const single = 'table' in modulation;
  const { qkv, proj, fc1, fc2, cross } = linears;
  const computes = (name: BranchName) => !exchange.given.has(name);
  const weights = Object.entries({
    ...(single ? {} : { adaLN: modulation.adaLN }),
    ...(computes('self') ? { qkv, proj } : {}),
    ...(computes('mlp') ? { fc1, fc2 } : {}),
    ...(cross && computes('cross') ? { crossQ: cross.q, crossKv: cross.kv, crossProj: cross.proj } : {}),
  });
  const innerWidth = (x.size / x.shape[2]) * (fc1.bias?.shape[0] ?? 0);
  const isOdd = weights.some(([, { dtype, bias }]) => dtype !== qkv.dtype || !bias);
  if (isOdd || innerWidth > MOST_FLOATS) return undefined;
  const inputs: Record<string, tf.Tensor> = { x, c: single ? modulation.t0 : modulation.c };
  if (single) inputs.table = modulation.table;
  for (const [name, { kernel, bias }] of weights) {
    inputs[`${name}.kernel`] = kernel;
    inputs[`${name}.bias`] = bias as tf.Tensor1D;
  }
  if (cross && caption && computes('cross'))
    Object.assign(inputs, { caption: caption.tokens, captionBias: caption.bias });
  const { numHeads, selfEps, mlpEps } = block;
  const settings = { numHeads, selfEps, mlpEps, dtype: qkv.dtype };
  return exchanging(inputs, settings, exchange);
}

/** Adds what is given and asked for to the op's inputs and attributes. */
function exchanging(
  inputs: Record<string, tf.Tensor>,
  settings: Readonly<Record<string, number | boolean | string>>,
  { given, asked }: BranchExchange,
): BlockOutputs | undefined {
  const handed = BRANCHES.filter((name) => asked.includes(name));
  const attributes = { ...settings };
  for (const name of handed) attributes[`${name}Asked`] = true;
  const sums = BRANCHES.flatMap((name) => given.get(name) ?? []);
  const weighted = !sums.every(isOneAsItIs);
  const weights = weighted ? tf.tensor1d(sums.flatMap((sum) => sum.weights)) : undefined;
  if (weights) inputs.weights = weights;
  for (const name of BRANCHES) {
    const tensors = given.get(name)?.tensors ?? [];
    for (const [i, tensor] of tensors.entries()) inputs[`${name}.part${i}`] = tensor;
    if (tensors.length > 0) attributes[`${name}Parts`] = tensors.length;
  }
  try {
    const outputs = runFused<tf.Tensor3D[]>('DeltaDitBlock', inputs, attributes);
    if (!outputs) return undefined;
    const [tokens, ...raw] = outputs as [tf.Tensor3D, ...tf.Tensor3D[]];
    return { tokens, raw: new Map(handed.map((name, i) => [name, raw[i] as tf.Tensor3D])) };
  } finally {
    weights?.dispose();
  }
}
