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
import type { FusedOp } from '../../ops/fused.ts';

/** As much of tfjs-node's backend as calling an op by name takes. */
export interface NodeBackend extends KernelBackend {
  readonly binding: {
    readonly TF_Version: string;
    readonly TF_ATTR_INT: number;
    readonly TF_ATTR_FLOAT: number;
    readonly TF_ATTR_BOOL: number;
    readonly TF_ATTR_TYPE: number;
    readonly TF_FLOAT: number;
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

/** What stands behind each seat in src/ops: an op of our addon, or several around TensorFlow's MatMul. */
const KERNELS: Readonly<Record<FusedOp, Kernel>> = {
  DeltaDitLayerNormModulate: (call) => op('DeltaDitLayerNormModulate', call, ['x', 'shift', 'scale'], [eps(call)]),
  DeltaDitGateResidual: (call) => op('DeltaDitGateResidual', call, ['x', 'raw', 'gate']),
  DeltaDitConvert: (call) => op('DeltaDitConvert', call, ['x'], elementTypes(call)),
  DeltaDitConvertInto: (call) => op('DeltaDitConvertInto', call, ['whole', 'x', 'at'], elementTypes(call)),
  DeltaDitAllocate: (call) => op('DeltaDitAllocate', call, ['words']),
  DeltaDitGelu: (call) => op('DeltaDitGelu', call, ['x']),
  DeltaDitLinear: linear,
  DeltaDitSelfAttention: (call) => op('DeltaDitSelfAttention', call, ['qkv'], [count(call, 'num_heads', 'numHeads')]),
  DeltaDitCrossAttention: (call) => {
    const heads = count(call, 'num_heads', 'numHeads');
    if (!call.inputs.bias) return op('DeltaDitCrossAttention', call, ['q', 'kv'], [heads]);
    return op('DeltaDitMaskedCrossAttention', call, ['q', 'kv', 'bias'], [heads]);
  },
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

/**
 * MatMul, not tfjs' BatchMatMulV2: TensorFlow hands the two to different kernels of oneDNN, and for wide products the
 * second takes up to three times as long. The bias, and the GELU, are written into the product.
 */
function linear(call: Call): Tensor {
  if (!call.attrs.bfloat16) return linearOfFloats(call);
  const [from, to] = [2, 0].map((value, i) => ({
    name: i === 0 ? 'from' : 'to',
    type: call.backend.binding.TF_ATTR_INT,
    value,
  })) as [OpAttribute, OpAttribute];
  const kernel = call.backend.executeSingleOutput('DeltaDitConvert', [from, to], given(call.inputs, ['kernel']));
  try {
    return linearOfFloats({ ...call, inputs: { ...call.inputs, kernel } });
  } finally {
    kernel.dispose();
  }
}

function linearOfFloats({ backend, inputs, attrs }: Call): Tensor {
  const { TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT } = backend.binding;
  const plain = (name: string) => ({ name, type: TF_ATTR_BOOL, value: false });
  const attributes = [plain('transpose_a'), plain('transpose_b'), { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT }];
  const product = backend.executeSingleOutput('MatMul', attributes, given(inputs, ['x', 'kernel']));
  const { bias } = inputs;
  if (!bias && !attrs.gelu) return product;
  try {
    if (!bias) return backend.executeSingleOutput('DeltaDitGelu', [], [product]);
    return backend.executeSingleOutput(attrs.gelu ? 'DeltaDitAddBiasGelu' : 'DeltaDitAddBias', [], [product, bias]);
  } finally {
    product.dispose();
  }
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

function eps({ backend, attrs }: Call): OpAttribute {
  return { name: 'eps', type: backend.binding.TF_ATTR_FLOAT, value: attrs.eps as number };
}

function elementTypes(call: Call): readonly OpAttribute[] {
  return [count(call, 'from', 'from'), count(call, 'to', 'to')];
}

function count({ backend, attrs }: Call, name: string, attribute: string): OpAttribute {
  return { name, type: backend.binding.TF_ATTR_INT, value: attrs[attribute] as number };
}
