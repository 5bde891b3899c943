/*
 * What comes out of a pickle. Nothing in it is code: Python's objects become these values.
 *
 *   None, bool, float, str     null, boolean, number, string
 *   int                        number, or bigint beyond 2^53
 *   bytes, bytearray           Uint8Array
 *   list, tuple                array, Tuple
 *   dict, OrderedDict, Counter Map (any key, so `__proto__` is a key like others)
 *   set, frozenset             Set
 *   complex                    Complex
 *   objects named in the list  InertObject: a record that is never brought to life
 *   torch objects              see torch-globals.ts
 */

export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

export class Complex {
  constructor(
    readonly real: number,
    readonly imaginary: number,
  ) {}
}

/** A Python class whose instances are kept as records. */
export class InertType {
  constructor(readonly name: string) {}
}

/** What a pickle says about an object that is not made: `argparse.Namespace` keeps its settings in `state`. */
export class InertObject {
  state: unknown = null;

  constructor(
    readonly type: string,
    readonly args: readonly unknown[],
  ) {}
}

/** What a called function may ask of the reader that calls it. */
export interface PickleCall {
  /** Ends reading with an error that says where; `why` continues "at byte 12, ...". */
  refuse(why: string): never;
  /** Counts `items` against the limit of work, before they are copied. */
  charge(items: number): void;
}

/** A Python function of which we know what it does to plain values. */
export class PickleFunction {
  constructor(
    readonly name: string,
    readonly call: (args: readonly unknown[], reader: PickleCall) => unknown,
  ) {}
}

/** A value by the name of its Python type, for errors. */
export function describe(value: unknown): string {
  if (value === null) return 'None';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'list';
  if (value instanceof PickleFunction || value instanceof InertType) return value.name;
  if (value instanceof InertObject) return value.type;
  if (value instanceof Map) return 'dict';
  if (value instanceof Uint8Array) return 'bytes';
  const names: Record<string, string> = { string: 'str', number: 'number', bigint: 'int', boolean: 'bool' };
  return names[typeof value] ?? (value as object).constructor.name.toLowerCase();
}
