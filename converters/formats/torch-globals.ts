import { bytesPerElement, TORCH_DTYPES, TORCH_STORAGES } from '../../src/checkpoint/dtypes.ts';
import type { StoredDtype } from '../../src/checkpoint/stored-tensor.ts';
import { FormatError } from '../../src/errors.ts';
import type { Shape } from '../../src/shape.ts';
import { PYTHON_GLOBALS } from './pickle-globals.ts';
import type { PickleGlobals } from './pickle-machine.ts';
import { describe, type PickleCall, PickleFunction, Tuple } from './pickle-values.ts';
import { TorchStorage, TorchTensor } from './torch-tensor.ts';

/** An element type by its torch name; `stored` is undefined where there is no way to read it. */
export class TorchDtype {
  constructor(
    readonly name: string,
    readonly stored: StoredDtype | undefined,
  ) {}
}

/** A storage class: `dtype` is its element type, absent for those that are not read, `untyped` where tensors tell it. */
export class TorchStorageType {
  constructor(
    readonly name: string,
    readonly dtype: StoredDtype | 'untyped' | undefined,
  ) {}
}

/** The classes of tensors that are no more than their elements. */
class PlainTensorType {
  constructor(readonly name: string) {}
}

const UNREAD_DTYPES = [
  'complex32',
  'complex128',
  'float8_e4m3fnuz',
  'float8_e5m2fnuz',
  'float8_e8m0fnu',
  'qint8',
  'quint8',
  'qint32',
];
const UNREAD_STORAGES = [
  'ComplexDoubleStorage',
  'QInt8Storage',
  'QUInt8Storage',
  'QInt32Storage',
  'QUInt4x2Storage',
  'QUInt2x4Storage',
];

/** The functions that give a tensor from a storage, and those that wrap one. */
const REBUILD = [
  new PickleFunction('torch._utils._rebuild_tensor', rebuildTensor),
  new PickleFunction('torch._utils._rebuild_tensor_v2', rebuildTensor),
  new PickleFunction('torch._utils._rebuild_tensor_v3', rebuildTensorV3),
  new PickleFunction('torch._utils._rebuild_parameter', unwrapParameter),
  new PickleFunction('torch._utils._rebuild_parameter_with_state', unwrapParameter),
];

/** Everything that the pickle of a torch file may name (torch/_utils.py and torch/_tensor.py of torch 2.15). */
export const TORCH_GLOBALS: PickleGlobals = new Map<string, unknown>([
  ...PYTHON_GLOBALS,
  ...[
    ...REBUILD,
    new PickleFunction('torch._tensor._rebuild_from_type_v2', rebuildFromType),
    new PickleFunction('torch.Size', makeSize),
    new PickleFunction('torch.device', makeDevice),
    new PlainTensorType('torch.Tensor'),
    new PlainTensorType('torch.nn.parameter.Parameter'),
    new TorchStorageType('torch.storage.UntypedStorage', 'untyped'),
  ].map(named),
  ...[...TORCH_STORAGES].map(([name, dtype]) => named(new TorchStorageType(`torch.${name}`, dtype))),
  ...UNREAD_STORAGES.map((name) => named(new TorchStorageType(`torch.${name}`, undefined))),
  ...[...TORCH_DTYPES].map(([name, stored]) => named(new TorchDtype(`torch.${name}`, stored))),
  ...UNREAD_DTYPES.map((name) => named(new TorchDtype(`torch.${name}`, undefined))),
]);

/** What the persistent id of a tensor's storage says: `('storage', class, key, location, element count)`. */
export interface StorageId {
  readonly type: TorchStorageType;
  readonly key: string;
  /** Elements; bytes of an untyped storage. */
  readonly count: number;
}

export function parseStorageId(id: unknown, reader: PickleCall): StorageId {
  const [tag, type, key, , count] = id instanceof Tuple ? id.items : [];
  if (tag !== 'storage' || !(type instanceof TorchStorageType) || typeof key !== 'string' || !isSize(count)) {
    return reader.refuse('an object outside the pickle that is no storage of a tensor; do not use this file');
  }
  if (type.dtype === undefined) return refuseType(reader, type.name);
  return { type, key, count };
}

/** The bytes that a storage must have. */
export function storageBytes({ type, count }: StorageId): number {
  return count * (type.dtype === 'untyped' || type.dtype === undefined ? 1 : bytesPerElement(type.dtype));
}

function named(value: { readonly name: string }): [string, unknown] {
  return [value.name, value];
}

/** `(storage, offset, size, stride[, requires_grad, backward_hooks[, metadata]])` */
function rebuildTensor(args: readonly unknown[], reader: PickleCall): TorchTensor {
  return strided(args, storageOf(args[0], reader).dtype, args[6], reader);
}

/** `(storage, offset, size, stride, requires_grad, backward_hooks, dtype[, metadata])`: types without a storage class. */
function rebuildTensorV3(args: readonly unknown[], reader: PickleCall): TorchTensor {
  const dtype = args[6];
  if (!(dtype instanceof TorchDtype)) return reader.refuse(`an element type was expected, got ${describe(dtype)}`);
  if (dtype.stored === undefined) return refuseType(reader, dtype.name);
  return strided(args, dtype.stored, args[7], reader);
}

function strided(
  args: readonly unknown[],
  dtype: StoredDtype | undefined,
  metadata: unknown,
  reader: PickleCall,
): TorchTensor {
  const [storage, offset, shape, strides] = args;
  if (dtype === undefined || !isSize(offset) || !isSizes(shape) || !isSizes(strides)) {
    return reader.refuse('a tensor whose type, offset, sizes or strides are not whole numbers; get the file again');
  }
  if (metadata instanceof Map && (metadata.get('conj') || metadata.get('neg'))) {
    return reader.refuse(
      'a tensor that torch negates or conjugates when it is read; save it with .resolve_neg().resolve_conj()',
    );
  }
  try {
    return new TorchTensor(storageOf(storage, reader), dtype, { shape: sizes(shape), strides: sizes(strides), offset });
  } catch (error) {
    if (error instanceof FormatError) return reader.refuse(error.message);
    throw error;
  }
}

/** `(tensor, requires_grad, backward_hooks[, state])` */
function unwrapParameter([tensor]: readonly unknown[], reader: PickleCall): TorchTensor {
  return tensorOf(tensor, reader);
}

/** `(function, type, arguments, attributes)`: a tensor with attributes, which are dropped. */
function rebuildFromType([rebuild, type, args]: readonly unknown[], reader: PickleCall): TorchTensor {
  if (!(type instanceof PlainTensorType))
    return reader.refuse(`a tensor of the class ${describe(type)}; save plain tensors`);
  if (!(rebuild instanceof PickleFunction && REBUILD.includes(rebuild)) || !(args instanceof Tuple)) {
    return reader.refuse(`a tensor made by ${describe(rebuild)}; do not use this file`);
  }
  return tensorOf(rebuild.call(args.items, reader), reader);
}

function makeSize([items]: readonly unknown[], reader: PickleCall): Tuple {
  if (!isSizes(items)) return reader.refuse('torch.Size of something else than whole numbers; get the file again');
  return items instanceof Tuple ? items : new Tuple(items);
}

/** A device is its name: nothing is placed on it. */
function makeDevice([type, index]: readonly unknown[], reader: PickleCall): string {
  if (typeof type !== 'string') return reader.refuse(`torch.device(${describe(type)}); get the file again`);
  return isSize(index) ? `${type}:${index}` : type;
}

function storageOf(value: unknown, reader: PickleCall): TorchStorage {
  if (value instanceof TorchStorage) return value;
  return reader.refuse(`a storage was expected, got ${describe(value)}; get the file again`);
}

function tensorOf(value: unknown, reader: PickleCall): TorchTensor {
  if (value instanceof TorchTensor) return value;
  return reader.refuse(`a tensor was expected, got ${describe(value)}; get the file again`);
}

function refuseType(reader: PickleCall, name: string): never {
  return reader.refuse(`a tensor of ${name}, whose elements are not read; convert it to float32 before saving`);
}

/** A count or an offset. */
export function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isSizes(value: unknown): value is Tuple | readonly number[] {
  const items = value instanceof Tuple ? value.items : value;
  return Array.isArray(items) && items.every(isSize);
}

function sizes(value: Tuple | readonly number[]): Shape {
  return (value instanceof Tuple ? value.items : value) as Shape;
}
