import {
  type Attribute,
  getKernel,
  type KernelBackend,
  type KernelConfig,
  type NamedAttrMap,
  registerKernel,
  type Tensor,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type { WeightDtype } from '../../checkpoint/hold.ts';
import { BackendError } from '../../errors.ts';
import { BRANCHES } from '../../ops/block.ts';
import type { FusedOp } from '../../ops/fused.ts';

/** As much of tfjs-node's backend as calling an op by name takes. */
export interface NodeBackend extends KernelBackend {
  readonly binding: {
    readonly TF_Version: string;
    readonly TF_ATTR_INT: number;
    readonly TF_ATTR_FLOAT: number;
    readonly TF_ATTR_BOOL: number;
  };
  readonly isUsingGpuDevice: boolean;
  executeSingleOutput(op: string, attributes: readonly OpAttribute[], inputs: readonly TensorInfo[]): Tensor;
  executeMultipleOutputs(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): Tensor[];
}

interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: Attribute | number;
}

/** One kernel's call: inputs by name, and the attributes that the seat in src/ops gives. */
interface Call {
  readonly backend: NodeBackend;
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly attrs: NamedAttrMap;
}

type Kernel = (call: Call) => Tensor | Tensor[];

/** How these kernels take weights. */
export const NATIVE_DTYPES: readonly WeightDtype[] = ['float32', 'bfloat16'];

/** What stands behind seats in src/ops: ops of our addon. */
const KERNELS: Readonly<Partial<Record<FusedOp, Kernel>>> = {
  DeltaDitLayerNormModulate: (call) => op('DeltaDitLayerNormModulate', call, ['x', 'shift', 'scale'], [eps(call)]),
  DeltaDitGateResidual: (call) => op('DeltaDitGateResidual', call, ['x', 'raw', 'gate']),
  DeltaDitConvert: (call) => op('DeltaDitConvert', call, ['x'], elementTypes(call)),
  DeltaDitConvertInto: (call) => op('DeltaDitConvertInto', call, ['whole', 'x', 'at'], elementTypes(call)),
  DeltaDitAllocate: (call) => op('DeltaDitAllocate', call, ['words']),
  DeltaDitWeightedSum: ({ backend, inputs }) => {
    const list = Object.values(inputs);
    return backend.executeSingleOutput('DeltaDitWeightedSum', [length(backend, 'N', list.length)], list);
  },
  DeltaDitGelu: (call) => op('DeltaDitGelu', call, ['x']),
  DeltaDitLinear: linear,
  DeltaDitBlock: block,
  DeltaDitAdaLN: (call) => {
    const attributes = [count(call, 'parts', 'parts'), ...heldAs(call)];
    const inputs = given(call.inputs, ['c', 'kernel', 'bias']);
    return call.backend.executeMultipleOutputs('DeltaDitAdaLN', attributes, inputs, call.attrs.parts as number);
  },
  DeltaDitSelfAttention: (call) => op('DeltaDitSelfAttention', call, ['qkv'], [count(call, 'num_heads', 'numHeads')]),
  DeltaDitCrossAttention: (call) => {
    const heads = count(call, 'num_heads', 'numHeads');
    if (!call.inputs.bias) return op('DeltaDitCrossAttention', call, ['q', 'kv'], [heads]);
    return op('DeltaDitMaskedCrossAttention', call, ['q', 'kv', 'bias'], [heads]);
  },
  DeltaDitAttention: attention,
  DeltaDitGroupMoments: ({ backend, inputs, attrs }) => {
    const groups = count({ backend, inputs, attrs }, 'num_groups', 'numGroups');
    return backend.executeMultipleOutputs('DeltaDitGroupMoments', [groups], given(inputs, ['x']), 2);
  },
  DeltaDitNormaliseGroups: (call) => {
    const { TF_ATTR_BOOL } = call.backend.binding;
    const silu = { name: 'silu', type: TF_ATTR_BOOL, value: call.attrs.silu ?? false };
    return op('DeltaDitNormaliseGroups', call, ['x', 'mean', 'variance', 'weight', 'bias'], [eps(call), silu]);
  },
};

/** Offers the kernels to the seats; the addon must have given its ops to TensorFlow. */
export function registerFusedKernels(): void {
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    if (getKernel(kernelName, 'tensorflow')) continue;
    const kernelFunc = kernel as unknown as KernelConfig['kernelFunc'];
    registerKernel({ kernelName, backendName: 'tensorflow', kernelFunc });
  }
}

/** What a linear may be given beside its input and kernel, in the order of the op's list: one attribute for each group. */
const LINEAR_INPUTS = { bias: ['bias'], norm: ['shift', 'scale'], residual: ['residual'], gate: ['gate'] } as const;

function linear(call: Call): Tensor {
  const { attrs } = call;
  const attributes: OpAttribute[] = [...heldAs(call)];
  if (attrs.gelu) attributes.push(yes(call, 'gelu'));
  if (attrs.eps !== undefined) attributes.push(eps(call));
  return listOp('DeltaDitLinear', call, ['x', 'kernel'], LINEAR_INPUTS, attributes);
}

/** A whole block: its inputs as one list, in the order in which the seat names them; its tokens, then what is asked for. */
function block(call: Call): Tensor[] {
  const { backend, inputs, attrs } = call;
  const { TF_ATTR_FLOAT } = backend.binding;
  const list = Object.values(inputs);
  const asked = BRANCHES.filter((name) => attrs[`${name}Asked`]);
  const given = BRANCHES.filter((name) => attrs[`${name}Parts`]);
  const attributes: OpAttribute[] = [
    ...heldAs(call),
    count(call, 'num_heads', 'numHeads'),
    { name: 'self_eps', type: TF_ATTR_FLOAT, value: attrs.selfEps as number },
    { name: 'mlp_eps', type: TF_ATTR_FLOAT, value: attrs.mlpEps as number },
    ...(inputs.table ? [yes(call, 'single')] : []),
    ...(inputs.caption ? [yes(call, 'cross')] : []),
    ...(inputs.captionBias ? [yes(call, 'caption_bias')] : []),
    ...asked.map((name) => yes(call, `${name}_asked`)),
    ...given.map((name) => count(call, `${name}_parts`, `${name}Parts`)),
    ...(inputs.weights ? [yes(call, 'weighted')] : []),
    length(backend, 'N', list.length),
    length(backend, 'M', 1 + asked.length),
  ];
  return backend.executeMultipleOutputs('DeltaDitBlock', attributes, list, 1 + asked.length);
}

/** The same of an attention, beside its projections. */
const ATTENTION_INPUTS = { score_bias: ['scoreBias'], key_bias: ['keyBias'] } as const;

function attention(call: Call): Tensor {
  const scale = { name: 'scale', type: call.backend.binding.TF_ATTR_FLOAT, value: call.attrs.scale as number };
  const attributes = [count(call, 'num_heads', 'numHeads'), scale];
  return listOp('DeltaDitAttention', call, ['q', 'k', 'v'], ATTENTION_INPUTS, attributes);
}

/** An op whose inputs are one list: those named, then the groups that are given, each with an attribute that says so. */
function listOp(
  name: string,
  call: Call,
  names: readonly string[],
  groups: Readonly<Record<string, readonly string[]>>,
  attributes: readonly OpAttribute[],
): Tensor {
  const { backend, inputs } = call;
  const present = Object.entries(groups).filter(([, group]) => group.every((input) => inputs[input]));
  const list = given(inputs, [...names, ...present.flatMap(([, group]) => group)]);
  const told = present.map(([group]) => yes(call, group));
  return backend.executeSingleOutput(name, [...attributes, ...told, length(backend, 'N', list.length)], list);
}

/** Of a list among an op's inputs or outputs. */
function length({ binding }: NodeBackend, name: 'N' | 'M', value: number): OpAttribute {
  return { name, type: binding.TF_ATTR_INT, value };
}

function yes({ backend }: Call, name: string): OpAttribute {
  return { name, type: backend.binding.TF_ATTR_BOOL, value: true };
}

function op(
  name: string,
  { backend, inputs }: Call,
  names: readonly string[],
  attributes: readonly OpAttribute[] = [],
): Tensor {
  return backend.executeSingleOutput(name, attributes, given(inputs, names));
}

function given(inputs: Call['inputs'], names: readonly string[]): TensorInfo[] {
  return names.map((name) => inputs[name] as TensorInfo);
}

/** TensorFlow allows no attribute of a dtype's name. @throws BackendError for weights of another backend */
function heldAs(call: Call): OpAttribute[] {
  const dtype = call.attrs.dtype as WeightDtype;
  if (!NATIVE_DTYPES.includes(dtype)) {
    throw new BackendError(
      `linear: weights are ${dtype}, and these ops read ${NATIVE_DTYPES.join(' or ')}. Load the model again on this backend.`,
    );
  }
  return dtype === 'bfloat16' ? [yes(call, 'is_bfloat16')] : [];
}

function eps({ backend, attrs }: Call): OpAttribute {
  return { name: 'eps', type: backend.binding.TF_ATTR_FLOAT, value: attrs.eps as number };
}

function elementTypes(call: Call): readonly OpAttribute[] {
  return [count(call, 'from', 'from'), count(call, 'to', 'to')];
}

function count({ backend, attrs }: Call, name: string, attribute: string): OpAttribute {
  return { name, type: backend.binding.TF_ATTR_INT, value: attrs[attribute] as number };
}
