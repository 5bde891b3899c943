import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sameShape } from '../../shape.ts';
import { attentionCode, columnsOf, INVOCATIONS, TILE } from './attention-tiles.ts';
import { type Call, checkShapes, given } from './kernel.ts';
import { componentsOf, runShader } from './shader.ts';

/** Where one of the three operands of an attention lies: rows of `stride` elements, its heads from `offset` on. */
interface Projection {
  readonly tensor: TensorInfo;
  readonly stride: number;
  readonly offset: number;
}

interface AttentionOperands {
  readonly q: Projection;
  readonly k: Projection;
  readonly v: Projection;
  /** Features of all heads. */
  readonly width: number;
  readonly scale: number;
  /** [1,h,T,S] */
  readonly scoreBias?: TensorInfo | undefined;
  /** [N,1,1,S] */
  readonly keyBias?: TensorInfo | undefined;
}

/** @returns [N,T,D] of qkv [N,T,3·D] */
export function selfAttentionKernel(call: Call): TensorInfo {
  const qkv = given(call, 'qkv');
  const stride = qkv.shape[2] ?? 0;
  const width = stride / 3;
  const numHeads = call.attrs.numHeads as number;
  const fits = qkv.shape.length === 3 && Number.isInteger(width / numHeads);
  checkShapes('selfAttention', fits, 'qkv [N,T,3D] with D a multiple of the number of heads', call);
  const part = (i: number) => ({ tensor: qkv, stride, offset: i * width });
  return attend(call, { q: part(0), k: part(1), v: part(2), width, scale: (width / numHeads) ** -0.5 });
}

/** @returns [N,T,D] of q [N,T,D] and kv [N,S,2·D] */
export function crossAttentionKernel(call: Call): TensorInfo {
  const [q, kv] = [given(call, 'q'), given(call, 'kv')];
  const [n = 0, , width = 0] = q.shape;
  const numHeads = call.attrs.numHeads as number;
  const fits = q.shape.length === 3 && sameShape(kv.shape, [n, kv.shape[1] ?? 0, 2 * width]);
  checkShapes('crossAttention', fits && width % numHeads === 0, 'q [N,T,D] and kv [N,S,2D]', call);
  const part = (i: number) => ({ tensor: kv, stride: 2 * width, offset: i * width });
  const operands = { q: { tensor: q, stride: width, offset: 0 }, k: part(0), v: part(1) };
  return attend(call, { ...operands, width, scale: (width / numHeads) ** -0.5, keyBias: call.inputs.bias });
}

/** @returns [N,T,D] of q [N,T,D], k [N,S,D] and v [N,S,D] */
export function attentionKernel(call: Call): TensorInfo {
  const [q, k, v] = [given(call, 'q'), given(call, 'k'), given(call, 'v')];
  const [n = 0, , width = 0] = q.shape;
  const { scoreBias, keyBias } = call.inputs;
  const { numHeads, scale } = call.attrs as { readonly numHeads: number; readonly scale: number };
  const keyShape = [n, k.shape[1] ?? 0, width];
  const fits = q.shape.length === 3 && [k, v].every(({ shape }) => sameShape(shape, keyShape));
  checkShapes('attention', fits && width % numHeads === 0, 'q [N,T,D], k [N,S,D] and v [N,S,D]', call);
  const whole = (tensor: TensorInfo) => ({ tensor, stride: width, offset: 0 });
  return attend(call, { q: whole(q), k: whole(k), v: whole(v), width, scale, scoreBias, keyBias });
}

/** @returns [N,T,D] */
function attend(call: Call, { q, k, v, width, scale, scoreBias, keyBias }: AttentionOperands): TensorInfo {
  const [samples = 0, queries = 0] = q.tensor.shape;
  const keys = k.tensor.shape[1] ?? 0;
  const heads = call.attrs.numHeads as number;
  const headDim = width / heads;
  const biased = !scoreBias || sameShape(scoreBias.shape, [1, heads, queries, keys]);
  checkShapes('attention', biased, 'a bias [1,heads,T,S]', call);
  checkShapes('attention', !keyBias || sameShape(keyBias.shape, [samples, 1, 1, keys]), 'a mask [N,1,1,S]', call);
  const components = componentsOf(headDim);
  const code = { headDim, components, scoreBias: !!scoreBias, keyBias: !!keyBias };
  const operand = ({ tensor }: Projection) => ({ tensor, components });
  return runShader(call.backend, {
    name: `attention ${Object.values(code)}`,
    code: attentionCode(code),
    inputs: {
      q: operand(q),
      k: operand(k),
      v: operand(v),
      ...(scoreBias && { scoreBias: { tensor: scoreBias } }),
      ...(keyBias && { keyBias: { tensor: keyBias } }),
    },
    output: { shape: [samples, queries, width], components },
    uniforms: {
      ...sizes({ samples, heads, queries, keys, qStride: q.stride, kStride: k.stride, vStride: v.stride }),
      ...sizes({ qOffset: q.offset, kOffset: k.offset, vOffset: v.offset }),
      scale: { f32: scale },
    },
    workgroups: {
      count: samples * heads * Math.ceil(queries / TILE) * columnsOf(headDim).slices,
      invocations: INVOCATIONS,
    },
  });
}

function sizes(values: Readonly<Record<string, number>>): Record<string, { readonly i32: number }> {
  return Object.fromEntries(Object.entries(values).map(([name, i32]) => [name, { i32 }]));
}
