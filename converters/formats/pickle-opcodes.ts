import type { PickleMachine } from './pickle-machine.ts';
import { describe, InertObject, InertType, PickleFunction, Tuple } from './pickle-values.ts';

interface Opcode {
  /** As in Python's pickletools. */
  readonly name: string;
  readonly run: (machine: PickleMachine) => void;
}

const char = (text: string): number => text.charCodeAt(0);

/** The opcodes of protocols 2 to 5 that torch's files use. STOP is not among them: it ends the loop. */
export const OPCODES: ReadonlyMap<number, Opcode> = new Map([
  // Frame
  [0x80, { name: 'PROTO', run: (m) => m.damaged('a second PROTO') }],
  [0x95, { name: 'FRAME', run: (m) => void m.u64() }],
  // Values
  [char('N'), { name: 'NONE', run: (m) => m.push(null) }],
  [0x88, { name: 'NEWTRUE', run: (m) => m.push(true) }],
  [0x89, { name: 'NEWFALSE', run: (m) => m.push(false) }],
  [char('J'), { name: 'BININT', run: (m) => m.push(m.i32()) }],
  [char('K'), { name: 'BININT1', run: (m) => m.push(m.u8()) }],
  [char('M'), { name: 'BININT2', run: (m) => m.push(m.u16()) }],
  [0x8a, { name: 'LONG1', run: (m) => m.push(m.integer(m.u8())) }],
  [0x8b, { name: 'LONG4', run: (m) => m.push(m.integer(m.u32())) }],
  [char('G'), { name: 'BINFLOAT', run: (m) => m.push(m.f64()) }],
  [char('U'), { name: 'SHORT_BINSTRING', run: (m) => m.push(m.string(m.u8())) }],
  [char('T'), { name: 'BINSTRING', run: (m) => m.push(m.string(m.u32())) }],
  [0x8c, { name: 'SHORT_BINUNICODE', run: (m) => m.push(m.string(m.u8())) }],
  [char('X'), { name: 'BINUNICODE', run: (m) => m.push(m.string(m.u32())) }],
  [0x8d, { name: 'BINUNICODE8', run: (m) => m.push(m.string(m.u64())) }],
  [char('C'), { name: 'SHORT_BINBYTES', run: (m) => m.push(m.raw(m.u8())) }],
  [char('B'), { name: 'BINBYTES', run: (m) => m.push(m.raw(m.u32())) }],
  [0x8e, { name: 'BINBYTES8', run: (m) => m.push(m.raw(m.u64())) }],
  [0x96, { name: 'BYTEARRAY8', run: (m) => m.push(m.raw(m.u64())) }],
  // Tuples
  [char(')'), { name: 'EMPTY_TUPLE', run: (m) => m.push(new Tuple([])) }],
  [0x85, { name: 'TUPLE1', run: (m) => m.push(popTuple(m, 1)) }],
  [0x86, { name: 'TUPLE2', run: (m) => m.push(popTuple(m, 2)) }],
  [0x87, { name: 'TUPLE3', run: (m) => m.push(popTuple(m, 3)) }],
  [char('t'), { name: 'TUPLE', run: (m) => m.push(new Tuple(m.popToMark())) }],
  // Lists
  [char(']'), { name: 'EMPTY_LIST', run: (m) => m.push([]) }],
  [char('l'), { name: 'LIST', run: (m) => m.push(m.popToMark()) }],
  [char('a'), { name: 'APPEND', run: (m) => append(m, [m.pop()]) }],
  [char('e'), { name: 'APPENDS', run: (m) => append(m, m.popToMark()) }],
  // Dicts
  [char('}'), { name: 'EMPTY_DICT', run: (m) => m.push(new Map()) }],
  [char('d'), { name: 'DICT', run: makeDict }],
  [char('s'), { name: 'SETITEM', run: (m) => setItems(m, [m.pop(), m.pop()].reverse()) }],
  [char('u'), { name: 'SETITEMS', run: (m) => setItems(m, m.popToMark()) }],
  // Sets
  [0x8f, { name: 'EMPTY_SET', run: (m) => m.push(new Set()) }],
  [0x90, { name: 'ADDITEMS', run: addItems }],
  [0x91, { name: 'FROZENSET', run: (m) => m.push(new Set(m.popToMark())) }],
  // Stack and memo
  [char('('), { name: 'MARK', run: (m) => m.mark() }],
  [char('0'), { name: 'POP', run: (m) => void m.pop() }],
  [char('1'), { name: 'POP_MARK', run: (m) => void m.popToMark() }],
  [char('2'), { name: 'DUP', run: (m) => m.push(m.top()) }],
  [char('q'), { name: 'BINPUT', run: (m) => m.remember(m.u8()) }],
  [char('r'), { name: 'LONG_BINPUT', run: (m) => m.remember(m.u32()) }],
  [0x94, { name: 'MEMOIZE', run: (m) => m.rememberNext() }],
  [char('h'), { name: 'BINGET', run: (m) => m.push(m.recall(m.u8())) }],
  [char('j'), { name: 'LONG_BINGET', run: (m) => m.push(m.recall(m.u32())) }],
  // Names and objects: only what the list of globals holds
  [char('c'), { name: 'GLOBAL', run: (m) => m.push(m.global(m.line(), m.line())) }],
  [0x93, { name: 'STACK_GLOBAL', run: stackGlobal }],
  [char('Q'), { name: 'BINPERSID', run: loadPersistent }],
  [char('R'), { name: 'REDUCE', run: reduce }],
  [0x81, { name: 'NEWOBJ', run: newObject }],
  [char('b'), { name: 'BUILD', run: build }],
]);

/** Opcodes of Python that no torch checkpoint needs, by name for the error. */
export const REFUSED_OPCODES: ReadonlyMap<number, string> = new Map([
  [0x82, 'EXT1'],
  [0x83, 'EXT2'],
  [0x84, 'EXT4'],
  [0x92, 'NEWOBJ_EX'],
  [0x97, 'NEXT_BUFFER'],
  [0x98, 'READONLY_BUFFER'],
  [char('P'), 'PERSID'],
  [char('i'), 'INST'],
  [char('o'), 'OBJ'],
  [char('I'), 'INT'],
  [char('L'), 'LONG'],
  [char('F'), 'FLOAT'],
  [char('S'), 'STRING'],
  [char('V'), 'UNICODE'],
  [char('g'), 'GET'],
  [char('p'), 'PUT'],
]);

function popTuple(m: PickleMachine, size: number): Tuple {
  return new Tuple(Array.from({ length: size }, () => m.pop()).reverse());
}

function append(m: PickleMachine, items: readonly unknown[]): void {
  const list = m.top();
  if (!Array.isArray(list)) m.damaged(`a list was expected, got ${describe(list)}`);
  for (const item of items) list.push(item);
}

function makeDict(m: PickleMachine): void {
  const pairs = m.popToMark();
  m.push(new Map());
  setItems(m, pairs);
}

function setItems(m: PickleMachine, pairs: readonly unknown[]): void {
  const dict = m.top();
  if (!(dict instanceof Map)) m.damaged(`a dict was expected, got ${describe(dict)}`);
  if (pairs.length % 2 === 1) m.damaged('a key has no value');
  for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i], pairs[i + 1]);
}

function addItems(m: PickleMachine): void {
  const items = m.popToMark();
  const set = m.top();
  if (!(set instanceof Set)) m.damaged(`a set was expected, got ${describe(set)}`);
  for (const item of items) set.add(item);
}

function stackGlobal(m: PickleMachine): void {
  const name = m.pop();
  m.push(m.global(m.pop(), name));
}

function loadPersistent(m: PickleMachine): void {
  const load = m.options.persistentLoad;
  if (!load) m.damaged('an object outside the pickle, where there is none');
  m.push(load(m.pop(), m));
}

function reduce(m: PickleMachine): void {
  const args = popArguments(m);
  const callee = m.pop();
  if (callee instanceof PickleFunction) m.push(callee.call(args, m));
  else if (callee instanceof InertType) m.push(new InertObject(callee.name, args));
  else m.refuse(`a call of ${describe(callee)}, which is no function; do not use this file`);
}

function newObject(m: PickleMachine): void {
  const args = popArguments(m);
  const type = m.pop();
  if (!(type instanceof InertType))
    m.refuse(`a new object of ${describe(type)}, which is never made; do not use this file`);
  m.push(new InertObject(type.name, args));
}

function popArguments(m: PickleMachine): readonly unknown[] {
  const args = m.pop();
  if (!(args instanceof Tuple)) return m.damaged(`arguments were expected, got ${describe(args)}`);
  return args.items;
}

/** The state of an inert object is kept; the attributes of an OrderedDict (torch's `_metadata`) are dropped. */
function build(m: PickleMachine): void {
  const state = m.pop();
  const object = m.top();
  if (object instanceof InertObject) object.state = state;
  else if (!(object instanceof Map && state instanceof Map)) {
    m.refuse(`attributes for ${describe(object)}, which has none; do not use this file`);
  }
}
