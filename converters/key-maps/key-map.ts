import { isDivisible, type StoredTensor, type TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { reportMismatch, wrongShape } from '../../src/checkpoint/weights.ts';
import { CheckpointError } from '../../src/errors.ts';
import { type Shape, sameShape } from '../../src/shape.ts';
import { hwioFromOihw, sameBytes, squeezed, stacked, transposed } from './layouts.ts';

/**
 * What a PyTorch module becomes. linear: `weight` [out,in] → `kernel` [in,out]. conv: `weight` OIHW → `kernel` HWIO.
 * pointwise: `weight` [out,in,1,1] → `kernel` [in,out]. These keep `bias`. projection: a linear without one. norm:
 * `weight` and `bias` unchanged. table: `weight` unchanged. parameter: no module, a tensor that stands alone, unchanged.
 */
export type ModuleKind = 'linear' | 'conv' | 'pointwise' | 'projection' | 'norm' | 'table' | 'parameter';

/** One module of the converted layout. `{i}` in names stands for every block. */
export interface KeyRow {
  readonly to: string;
  /** Where it comes from; several are stacked along the output axis (q, k, v → qkv). */
  readonly from: string | readonly string[];
  readonly kind: ModuleKind;
  /** Modules that hold the same numbers again, and are checked to. */
  readonly copies?: string;
  /** May be absent from the origin. */
  readonly optional?: boolean;
}

/** How the names and layouts of one origin become ours. */
export interface KeyMap {
  readonly rows: readonly KeyRow[];
  /** Tensors of the origin that are not needed. */
  readonly ignored: RegExp;
}

const KERNEL_AND_BIAS = [
  ['.weight', '.kernel'],
  ['.bias', '.bias'],
] as const;

/** Endings of a module's tensors, there and here. */
const PARAMETERS: Record<ModuleKind, readonly (readonly [from: string, to: string])[]> = {
  linear: KERNEL_AND_BIAS,
  conv: KERNEL_AND_BIAS,
  pointwise: KERNEL_AND_BIAS,
  projection: [['.weight', '.kernel']],
  norm: [
    ['.weight', '.weight'],
    ['.bias', '.bias'],
  ],
  table: [['.weight', '.weight']],
  parameter: [['', '']],
};

/** What the tensors are to become. */
export interface Target {
  /** How many blocks `{i}` stands for. */
  readonly depth: number;
  /** Our parameter names and their shapes. */
  readonly parameters: ReadonlyMap<string, Shape>;
  /** Names of ours that are kept though `parameters` has none of them. */
  readonly alsoKept?: RegExp;
}

/**
 * An archive seen through a key map: renamed, re-laid as each tensor is read.
 * @throws CheckpointError listing missing, unexpected and wrong-shape tensors together, by the origin's names where it
 * has one
 */
export function mapTensors(
  archive: TensorArchive,
  map: KeyMap,
  { depth, parameters, alsoKept }: Target,
): TensorArchive {
  const used = new Set<string>();
  const missing: string[] = [];
  const find = (name: string): StoredTensor | undefined => {
    used.add(name);
    const tensor = archive.tensors.get(name);
    if (!tensor) missing.push(name);
    return tensor;
  };
  const produced = new Set<string>();
  const tensors = new Map<string, StoredTensor>();
  for (const row of expandedRows(map.rows, depth)) {
    for (const [from, to] of PARAMETERS[row.kind]) {
      if (row.optional && !row.from.some((module) => archive.tensors.has(`${module}${from}`))) continue;
      const parts = row.from.map((module) => find(`${module}${from}`)).filter((part) => part !== undefined);
      const copies = row.copies.map((module) => find(`${module}${from}`)).filter((copy) => copy !== undefined);
      const name = `${row.to}${to}`;
      produced.add(name);
      if (parts.length === row.from.length) tensors.set(name, relaid(name, row.kind, parts, copies));
    }
  }
  missing.push(...[...parameters.keys()].filter((name) => !produced.has(name)));
  const unexpected = [...archive.tensors.keys()].filter((name) => !used.has(name) && !map.ignored.test(name));
  unexpected.push(...[...produced].filter((name) => !parameters.has(name) && !alsoKept?.test(name)));
  const wrong: string[] = [];
  for (const [name, { shape }] of tensors) {
    const expected = parameters.get(name);
    if (expected && !sameShape(expected, shape)) wrong.push(wrongShape(name, expected, shape));
  }
  reportMismatch(archive.name, { missing, unexpected, wrong });
  return { ...archive, tensors };
}

interface ExpandedRow {
  readonly to: string;
  readonly from: readonly string[];
  readonly kind: ModuleKind;
  readonly copies: readonly string[];
  readonly optional: boolean;
}

function expandedRows(rows: readonly KeyRow[], depth: number): ExpandedRow[] {
  const blocks = Array.from({ length: depth }, (_, i) => String(i));
  return rows.flatMap(({ to, from, kind, copies, optional = false }) => {
    const sources = typeof from === 'string' ? [from] : from;
    const at = (i: string): ExpandedRow => ({
      to: to.replace('{i}', i),
      from: sources.map((name) => name.replace('{i}', i)),
      kind,
      optional,
      copies:
        copies === undefined
          ? []
          : [...new Set(blocks.map((block) => copies.replace('{i}', block)))].filter((name) => !sources.includes(name)),
    });
    return to.includes('{i}') ? blocks.map(at) : [at('')];
  });
}

/** A tensor of our layout that reads and re-lays its origin when asked. */
function relaid(
  name: string,
  kind: ModuleKind,
  parts: readonly StoredTensor[],
  copies: readonly StoredTensor[],
): StoredTensor {
  const whole = parts.length === 1 ? (parts[0] as StoredTensor) : stacked(name, parts);
  const checked = copies.length === 0 ? whole : withCopies(whole, copies);
  if ((kind === 'linear' || kind === 'projection') && whole.shape.length === 2) return transposed(name, checked);
  if (kind === 'pointwise' && whole.shape.length === 4) return transposed(name, squeezed(checked));
  if (kind === 'conv' && whole.shape.length === 4) return hwioFromOihw(name, checked);
  return { ...checked, name };
}

/** A tensor that is compared with its copies as it is read, as far as it is read. */
function withCopies(tensor: StoredTensor, copies: readonly StoredTensor[]): StoredTensor {
  const { name, dtype, shape } = tensor;
  const read = () => equalBytes(tensor, copies, (from) => from.read());
  if (!isDivisible(tensor) || !copies.every(isDivisible)) return { name, dtype, shape, read };
  const readElements = (start: number, count: number) =>
    equalBytes(tensor, copies, (from) => from.readElements(start, count));
  return { name, dtype, shape, read, readElements };
}

async function equalBytes<T extends StoredTensor>(
  tensor: T,
  copies: readonly T[],
  read: (from: T) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const bytes = await read(tensor);
  for (const copy of copies) {
    if (!sameBytes(bytes, await read(copy))) {
      throw new CheckpointError(
        `${copy.name} differs from ${tensor.name}, and the model has one for both; save it with equal copies`,
      );
    }
  }
  return bytes;
}
