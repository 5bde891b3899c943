import { quoted } from '../../src/checkpoint/quoted.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FormatError } from '../../src/errors.ts';
import { describe, Tuple } from './pickle-values.ts';
import type { TorchFile } from './torch-file.ts';
import { TorchTensor } from './torch-tensor.ts';

/** Where training scripts put the state dict, the preferred first: DiT's train.py saves `model` and `ema`. */
const WRAPPERS = ['ema', 'state_dict', 'model'];
/** What DistributedDataParallel puts before every name. */
const PARALLEL_PREFIX = 'module.';
/** A pickle can hold a dict inside itself, or the same one many times over. */
const MAX_DEPTH = 1_000;
const MAX_VISITS = 1_000_000;

/**
 * The state dict in a torch file, as named tensors. It is looked for under `key`, else under `ema`, then `state_dict`,
 * then `model`; nested dicts and lists give dotted names; `module.` is dropped where every name begins with it; values
 * that are no tensors are left out. The archive's name says which part of the file it is; closing it closes the file.
 * @throws CheckpointError when there is no tensor, or no `key`. FormatError when the nesting is no state dict's.
 */
export function flattenTensors(file: TorchFile, key?: string): TensorArchive {
  const { path, root } = key === undefined ? unwrap(file.root) : { path: [key], root: child(file, key) };
  const name = path.length === 0 ? file.name : `${file.name} (${path.join('.')})`;
  const tensors = withoutPrefix(collect(name, root));
  if (tensors.size === 0) {
    throw new CheckpointError(
      `${name}: expected a dict of tensors, found none in this ${describe(root)}${keysOf(file.root)}`,
    );
  }
  return {
    name,
    tensors: new Map([...tensors].map(([name, tensor]) => [name, storedTensor(name, tensor)])),
    metadata: new Map(),
    checksums: file.checksums,
    close: () => file.close(),
  };
}

function unwrap(root: unknown): { path: string[]; root: unknown } {
  const path: string[] = [];
  for (const wrapper of WRAPPERS) {
    const inner = root instanceof Map ? root.get(wrapper) : undefined;
    if (inner instanceof Map && inner.size > 0) {
      path.push(wrapper);
      root = inner;
    }
  }
  return { path, root };
}

function child(file: TorchFile, key: string): unknown {
  if (file.root instanceof Map && file.root.has(key)) return file.root.get(key);
  throw new CheckpointError(`${file.name}: there is no key ${quoted(key)}${keysOf(file.root)}`);
}

function keysOf(root: unknown): string {
  if (!(root instanceof Map)) return '';
  const keys = [...root.keys()].filter((key) => typeof key === 'string');
  return `; its keys are ${keys.slice(0, 10).join(', ')}${keys.length > 10 ? ', ...' : ''}: name the one with the state dict`;
}

function collect(where: string, root: unknown): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  let visits = 0;
  const visit = (name: string, value: unknown, depth: number): void => {
    visits += 1;
    if (depth > MAX_DEPTH || visits > MAX_VISITS) {
      throw new FormatError(`${where}: is nested more deeply or widely than a state dict can be; do not use this file`);
    }
    if (value instanceof TorchTensor) {
      if (tensors.has(name))
        throw new FormatError(`${where}: two tensors have the name ${quoted(name)}; rename one and save again`);
      tensors.set(name, value);
    } else {
      for (const [key, item] of childrenOf(value)) visit(name === '' ? key : `${name}.${key}`, item, depth + 1);
    }
  };
  for (const [key, item] of childrenOf(root)) visit(key, item, 1);
  return tensors;
}

function* childrenOf(value: unknown): Iterable<[string, unknown]> {
  if (value instanceof Map) {
    for (const [key, item] of value) if (typeof key === 'string' || typeof key === 'number') yield [String(key), item];
  } else {
    const items: unknown = value instanceof Tuple ? value.items : value;
    if (Array.isArray(items)) for (const [i, item] of items.entries()) yield [String(i), item];
  }
}

function withoutPrefix(tensors: ReadonlyMap<string, TorchTensor>): ReadonlyMap<string, TorchTensor> {
  const parallel = [...tensors.keys()].every((name) => name.startsWith(PARALLEL_PREFIX));
  if (!parallel) return tensors;
  return new Map([...tensors].map(([name, tensor]) => [name.slice(PARALLEL_PREFIX.length), tensor]));
}

function storedTensor(name: string, tensor: TorchTensor): StoredTensor {
  return {
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    read: (into) => tensor.read(into),
    ...(tensor.isContiguous && { readElements: (start, count, into) => tensor.readElements(start, count, into) }),
  };
}
