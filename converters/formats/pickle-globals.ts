import type { PickleGlobals } from './pickle-machine.ts';
import { Complex, describe, InertType, type PickleCall, PickleFunction, Tuple } from './pickle-values.ts';

/** Python 2's name of the module, which protocol 2 uses, and Python 3's. */
const BUILTINS = ['__builtin__', 'builtins'];

/** Kept as records and never brought to life: what training scripts save beside their tensors. */
const INERT = [
  'argparse.Namespace', // DiT's train.py saves its options
  'pathlib.PosixPath', // an option of the script, inside the Namespace
  'pathlib.WindowsPath',
  'numpy.dtype',
  'numpy.core.multiarray.scalar', // a loss or a learning rate
  'numpy._core.multiarray.scalar', // the same, from numpy 2
];

/** What Python's own containers need. */
export const PYTHON_GLOBALS: PickleGlobals = new Map<string, unknown>([
  entry('collections.OrderedDict', makeDict),
  entry('collections.Counter', makeDict),
  entry('_codecs.encode', encode),
  ...BUILTINS.flatMap((module) => [
    entry(`${module}.set`, makeSet),
    entry(`${module}.bytearray`, makeBytes),
    entry(`${module}.complex`, makeComplex),
  ]),
  ...INERT.map((name): [string, unknown] => [name, new InertType(name)]),
]);

function entry(name: string, call: PickleFunction['call']): [string, unknown] {
  return [name, new PickleFunction(name, call)];
}

/** `OrderedDict()`, `OrderedDict([[key, value], ...])`, `Counter({key: count})`. */
function makeDict(args: readonly unknown[], reader: PickleCall): unknown {
  const [source, ...rest] = args;
  if (args.length === 0) return new Map();
  if (rest.length === 0 && source instanceof Map) return source;
  if (rest.length > 0 || !Array.isArray(source)) return wrongArguments(reader, 'OrderedDict', args);
  reader.charge(source.length);
  const dict = new Map<unknown, unknown>();
  for (const pair of source) {
    const items = pair instanceof Tuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2) return wrongArguments(reader, 'OrderedDict', args);
    dict.set(items[0], items[1]);
  }
  return dict;
}

/** `set([...])`, as protocols 2 and 3 write a set. */
function makeSet(args: readonly unknown[], reader: PickleCall): unknown {
  const [items = []] = args;
  if (args.length > 1 || !Array.isArray(items)) return wrongArguments(reader, 'set', args);
  reader.charge(items.length);
  return new Set(items);
}

/** `_codecs.encode(text, 'latin1')`, as protocol 2 writes bytes. */
function encode(args: readonly unknown[], reader: PickleCall): unknown {
  const [text, encoding] = args;
  if (args.length !== 2 || typeof text !== 'string' || !isLatin1(encoding))
    return wrongArguments(reader, '_codecs.encode', args);
  reader.charge(text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) return wrongArguments(reader, '_codecs.encode', args);
    bytes[i] = code;
  }
  return bytes;
}

/** `bytearray()`, `bytearray(bytes)`, `bytearray(text, 'latin-1')`; never `bytearray(size)`, which would allocate. */
function makeBytes(args: readonly unknown[], reader: PickleCall): unknown {
  if (args.length === 0) return new Uint8Array();
  if (args.length === 1 && args[0] instanceof Uint8Array) return args[0];
  return encode(args, reader);
}

function makeComplex(args: readonly unknown[], reader: PickleCall): unknown {
  const [real, imaginary] = args;
  if (args.length !== 2 || typeof real !== 'number' || typeof imaginary !== 'number') {
    return wrongArguments(reader, 'complex', args);
  }
  return new Complex(real, imaginary);
}

function isLatin1(encoding: unknown): boolean {
  return encoding === 'latin1' || encoding === 'latin-1';
}

function wrongArguments(reader: PickleCall, name: string, args: readonly unknown[]): never {
  return reader.refuse(
    `${name}(${args.slice(0, 4).map(describe).join(', ')}) is not how Python saves one; do not use this file`,
  );
}
